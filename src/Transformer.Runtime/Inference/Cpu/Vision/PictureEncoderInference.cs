using Transformer.Configuration;

namespace Transformer.Inference.Cpu.Vision;

// S side of a picture · N patches · C' width of the encoder · C width

/// <summary>
/// Everything that reads pictures outside of the text's blocks: patches, their positions, blocks in which each patch sees all patches
/// (Dosovitskiy et al. 2020, arXiv:2010.11929), and the projector. Its matrices are packed as the text's are; positions, latents and
/// the convolutions of a stem never.
/// </summary>
internal sealed unsafe class PictureEncoderInference : IDisposable
{
    private readonly int vectors;
    private readonly StemInference? stem;
    private readonly PicturePatches patches;
    private readonly Activations numbers, x, y;
    private readonly MatrixProducts embedding;
    private readonly float* positions;
    private readonly StackInference layers;
    private readonly StackState state;
    private readonly TokenBatch batch;
    private readonly NormInference? norm;
    private readonly ProjectorInference projector;

    /// <param name="text">What the layers of the model share, which has a <see cref="ModelConfig.Vision"/>.</param>
    /// <exception cref="InputException">No kernel is known for a kind of the configuration.</exception>
    public PictureEncoderInference(InferencePlan text)
    {
        const string Module = VisionConfig.Module;
        var config = text.Model.Vision!;
        vectors = config.Vectors;
        Workspace = new Workspace(config.Patches + vectors);
        var encoder = config.Encoder.ModelOf(text.Model, config.Patches);
        var plan = new InferencePlan(encoder, text.Weights, text.Team, Workspace, RotaryAngles: null, Bias: null) { IsCausal = false };
        if (config.Stem is not null) stem = new StemInference(plan, config.Stem, text.Model.Norm, config.Image.Size, $"{Module}.stem");
        var channels = config.Stem?.Channels[^1] ?? 3;
        patches = new PicturePatches(channels, config.PatchedSide, config.Patch, config.Stride ?? config.Patch, padding: 0);
        layers = new StackInference(plan, [.. encoder.Nodes().Select(Within)], $"{Module}.layers");
        (x, numbers) = (layers.Vectors, Workspace.Buffer("patches", patches.Width));
        embedding = plan.Products(plan.Map($"{Module}.patch_embedding", x));
        positions = Positions(plan, config.Encoder.Positions, config.GridSide, $"{Module}.positions");
        state = layers.NewState(rows: 1, config.Patches);
        batch = new TokenBatch(config.Patches);
        batch.Add(row: 0, start: 0, config.Patches, config.Patches);
        if (config.Encoder.Layers > 0) norm = new NormInference(encoder.Norm, plan.Weights, $"{Module}.norm");
        y = Workspace.Buffer("picture", text.Width);
        projector = ProjectorInference.Of(plan, config.Projector, config.Patches, y, $"{Module}.projector");

        static StackNode Within(StackNode node) => node with { Path = $"{Module}.{node.Path[ModelConfig.Root.Length..]}" };
    }

    /// <summary>Buffers that hold the vectors of a picture.</summary>
    public Workspace Workspace { get; }

    /// <summary>What the text reads of a picture.</summary>
    /// <param name="pixels">[3, S, S]</param>
    /// <returns>[N', C]</returns>
    public float[] Encode(ReadOnlySpan<float> pixels)
    {
        fixed (float* picture = pixels)
        {
            var channels = stem is null ? picture : stem.Run(picture);
            for (var row = 0; row < patches.Columns; row++) patches.Read(channels, row, numbers.Row(row * patches.Columns));
        }
        embedding.Run(numbers, batch.Tokens);                                      // [N, C']
        VectorKernels.AddScaled(1, positions, x.Values, batch.Tokens * x.Width);
        layers.Run(batch, state);                                                  // [N, C']
        norm?.Apply(x, x, batch.Tokens);
        projector.Run(x);                                                          // [N', C]
        return new ReadOnlySpan<float>(y.Values, vectors * y.Width).ToArray();
    }

    // Of each patch: [N, C'].
    private static float* Positions(InferencePlan plan, GridPositions kind, int side, string path)
    {
        if (kind == GridPositions.Table) return plan.Weights.Vector($"{path}.table.weight");
        var width = plan.Width;
        float* rows = plan.Weights.Vector($"{path}.rows.weight"), columns = plan.Weights.Vector($"{path}.columns.weight");
        var sums = new float[side * side * width];
        for (var patch = 0; patch < side * side; patch++)
            for (var i = 0; i < width; i++)
                sums[patch * width + i] = rows[patch / side * width + i] + columns[patch % side * width + i];
        return plan.Weights.Constants(sums);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        stem?.Dispose();
        state.Dispose();
        projector.Dispose();
        Workspace.Dispose();
    }
}
