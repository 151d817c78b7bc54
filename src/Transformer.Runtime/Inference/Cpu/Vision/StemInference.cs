using Transformer.Configuration;
using Transformer.Numerics;

namespace Transformer.Inference.Cpu.Vision;

// c channels · S side

/// <summary>
/// Convolutions of 3 x 3 with a stride of two, each with a norm of the channels of a place and ReLU (Xiao et al. 2021, arXiv:2106.14881).
/// Their weights are never packed.
/// </summary>
internal sealed unsafe class StemInference : IDisposable
{
    private readonly Convolution[] convolutions;

    /// <param name="plan">What all layers share.</param>
    /// <param name="config">The channels.</param>
    /// <param name="norm">The norm of the channels.</param>
    /// <param name="size">The side of a picture.</param>
    /// <param name="path">Its module.</param>
    public StemInference(InferencePlan plan, StemConfig config, NormConfig norm, int size, string path)
    {
        convolutions = new Convolution[config.Channels.Count];
        var (channels, side) = (3, size);
        for (var i = 0; i < convolutions.Length; i++)
        {
            var patches = new PicturePatches(channels, side, patch: 3, stride: 2, padding: 1);
            (channels, side) = (config.Channels[i], patches.Columns);
            convolutions[i] = new Convolution(
                plan, patches, channels, $"{path}.convolutions.{i}", new NormInference(norm, plan.Weights, $"{path}.norms.{i}"));
        }
    }

    /// <summary>What the last convolution gives, until the next picture: [c, S', S'].</summary>
    /// <param name="pixels">[3, S, S]</param>
    public float* Run(float* pixels)
    {
        foreach (var convolution in convolutions) pixels = convolution.Run(pixels);
        return pixels;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var convolution in convolutions) convolution.Dispose();
    }

    // One convolution: each thread computes whole rows of places.
    private sealed class Convolution : IParallelKernel, IDisposable
    {
        private readonly ThreadTeam team;
        private readonly PicturePatches patches;
        private readonly NormInference norm;
        private readonly Activations[] inputs, outputs;    // of each thread: [S', 9 c], [S', c']
        private readonly LinearMap[] maps;
        private readonly NativeArray<float> result;
        private float* picture;

        public Convolution(InferencePlan plan, PicturePatches patches, int channels, string name, NormInference norm)
        {
            (team, this.patches, this.norm) = (plan.Team, patches, norm);
            var (side, weight) = (patches.Columns, plan.Weights.Exact($"{name}.weight"));
            var bias = plan.Weights.Vector($"{name}.bias");
            inputs = [.. Enumerable.Range(0, team.Threads).Select(_ => new Activations(side, patches.Width))];
            outputs = [.. Enumerable.Range(0, team.Threads).Select(_ => new Activations(side, channels))];
            maps = [.. outputs.Select(output => new LinearMap(weight, bias, output))];
            result = new NativeArray<float>((long)channels * side * side);
        }

        public float* Run(float* picture)
        {
            this.picture = picture;
            team.Run(this, patches.Columns);
            return result.Pointer;
        }

        public void Do(int piece, int thread)
        {
            var (x, y, side) = (inputs[thread], outputs[thread], patches.Columns);
            patches.Read(picture, piece, x.Values);                                // [S', 9 c]
            maps[thread].Apply(x, side, 0, y.Width);                               // [S', c']
            norm.Apply(y, y, side);
            Activation.Apply<Relu>(y.Values, null, y.Values, side * y.Width);
            for (var channel = 0; channel < y.Width; channel++)
            {
                var row = result.Pointer + ((long)channel * side + piece) * side;
                for (var place = 0; place < side; place++) row[place] = y.Row(place)[channel];
            }
        }

        public void Dispose()
        {
            foreach (var buffer in inputs.Concat(outputs)) buffer.Dispose();
            result.Dispose();
        }
    }
}
