using MathNet.Numerics;
using Transformer.Data;
using Transformer.Evaluation;
using Transformer.Model;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Comparison;

// B batch · T tokens · C width

/// <summary>
/// muP's coordinate check (Yang et al. 2022, arXiv:2203.03466, appendix D.1): how much the residual stream and the logits change in the
/// first steps. Where widths are parametrised rightly, the change of a coordinate does not depend on the width.
/// </summary>
/// <param name="Places">Where: before each block after the first, and the logits.</param>
/// <param name="Changes">For each place the mean absolute change of a coordinate after the steps.</param>
public sealed record CoordinateCheck(IReadOnlyList<string> Places, IReadOnlyList<double> Changes)
{
    /// <summary>The number of steps.</summary>
    public const int Steps = 5;

    /// <summary>Trains a few steps and compares the same batch before and after them.</summary>
    /// <param name="config">The run, resolved.</param>
    /// <param name="data">Its data.</param>
    public static CoordinateCheck Of(RunConfig config, Dataset data)
    {
        manual_seed(config.Training.Seed);
        using var model = new TransformerModel(config.Model);
        using var space = new ParameterSpace(model, config.Training.Parameters);
        using var optimizer = Optimizer.FromConfig(config.Training.Optimizer, space);
        var step = new TrainingStep(model, space, optimizer, config.Training);
        using var batches = data.Train(config);
        using var scope = NewDisposeScope();
        var (ids, _) = BatchTensors.On(batches.At(0), CPU);
        var before = Coordinates();
        model.train();
        for (var i = 0; i < Steps; i++) step.Run(1, [batches.Next()]);
        var after = Coordinates();
        return new(
            [.. before.Select((_, i) => i < before.Count - 1 ? $"before block {i + 1}" : "logits")],
            [.. before.Zip(after, (first, second) => first.Zip(second, (x, y) => Math.Abs((double)y - x)).Average())]);

        // B T C numbers each, and the logits
        List<float[]> Coordinates()
        {
            using var _ = no_grad();
            using var pass = NewDisposeScope();
            model.eval();
            var streams = new Streams();
            model.BlockHooks = streams;
            var logits = model.call(ids, null);
            model.BlockHooks = null;
            return [.. streams.Seen, logits.data<float>().ToArray()];
        }
    }

    /// <summary>The slope of ln(change) over ln(width) at each place; 0 is what muP gives.</summary>
    /// <param name="checks">The checks of two or more widths.</param>
    public static IReadOnlyList<(string Place, double Slope)> Slopes(IReadOnlyList<(int Width, CoordinateCheck Check)> checks) =>
        [.. checks[0].Check.Places.Select((place, i) => (place, Fit.Line(
            [.. checks.Select(check => Math.Log(check.Width))], [.. checks.Select(check => Math.Log(check.Check.Changes[i]))]).B))];

    private sealed class Streams : BlockHooks
    {
        public List<float[]> Seen { get; } = [];

        public override Tensor BeforeBlock(int layer, Tensor stream)
        {
            if (layer > 0) Seen.Add(stream.data<float>().ToArray());
            return stream;
        }
    }
}
