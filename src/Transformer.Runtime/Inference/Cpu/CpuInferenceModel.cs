using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Inference.Cpu.Vision;

namespace Transformer.Inference.Cpu;

// N tokens · C width · V vocabulary

/// <summary>
/// A model on the CPU: the same numbers as libtorch's pass, to rounding, computed by this project's own kernels, which stream each weight
/// once per token, without libtorch and without allocating. Weights are read where the model has them, or packed into fewer bits.
/// </summary>
/// <remarks>
/// The results of a row depend neither on the other rows nor on how its text is split into passes: the same tokens give
/// bit-identical logits. The exception is dynamic NTK past its original length, where a pass rotates all of its tokens by the
/// angles of its last one. One call at a time.
/// </remarks>
public sealed unsafe class CpuInferenceModel : InferenceModel
{
    private const int MostBatch = 192;    // of a batch: enough to amortise reading each weight

    private readonly CpuWeights weights;
    private readonly ThreadTeam team;
    private readonly Workspace workspace;
    private readonly RotaryAngles? rotation;
    private readonly WeightMatrix embedding;
    private readonly WeightMatrix head;
    private readonly PictureEncoderInference? vision;
    private readonly float* positions;
    private readonly float* mark;
    private readonly StackInference stack;
    private readonly NormInference? norm;
    private readonly Activations stream;
    private readonly float logitScale;
    private readonly TokenBatch batch = new(MostBatch);
    private Activations last, logits;
    private MatrixProducts headProduct;

    private CpuInferenceModel(ModelConfig config, CpuWeights weights, ThreadTeam team)
    {
        (this.weights, this.team, Config) = (weights, team, config);
        workspace = new Workspace(MostBatch);
        if (Config is { Position: RotaryPositionConfig rope, RotaryWidth: { } headWidth })
            rotation = new RotaryAngles(rope, headWidth, MostBatch, Config.MostPlaces);
        var plan = new InferencePlan(Config, weights, team, workspace, rotation, DistanceBias.Of(Config, weights));
        if (Config.Vision is not null) vision = new PictureEncoderInference(plan);
        if (Config.Vision is GatedCrossAttentionConfig)
        {
            mark = weights.Vector($"{VisionConfig.Module}.{GatedCrossAttentionConfig.Mark}.weight");
            plan = plan with { Pictures = new PictureSource(VectorsOf, vision!.Workspace) };
        }
        embedding = weights.Matrix("model.embed_tokens.weight");
        head = Config.TiedHead ? embedding : weights.Matrix("lm_head.weight");
        positions = PositionTable();
        stack = new StackInference(plan, Config.Nodes(), "model.layers");
        stream = stack.Vectors;
        if (Config.Residual.LastNorm) norm = new NormInference(Config.Norm, weights, "model.norm");
        logitScale = (float)Config.LogitScale;
        (last, logits, headProduct) = Outputs(1);
    }

    /// <inheritdoc/>
    public override ModelConfig Config { get; }

    /// <inheritdoc/>
    public override string Backend => "cpu";

    /// <summary>Opens a checkpoint without libtorch: the file is mapped into memory, and its weights are read in place or packed.</summary>
    /// <param name="checkpoint">The checkpoint; the model, where there is one, disposes it.</param>
    /// <param name="format">The format of matrices in memory.</param>
    /// <param name="threads">The number of threads.</param>
    /// <returns>Null where the kernels do not know a part of the model, or do not read the type of a weight.</returns>
    /// <exception cref="InputException">The checkpoint's tensors are not those of its model; the message lists all that differ.</exception>
    public static InferenceModel? TryCreate(CheckpointFolder checkpoint, WeightFormat format, int threads)
    {
        if (CpuKernels.Supports(checkpoint.Model) is not null) return null;
        checkpoint.Check(checkpoint.Model.Parameters().Select(spec => (spec.Name, spec.Shape)));
        var weights = CpuWeights.Of(checkpoint.Names.Select(checkpoint.Tensor), format, checkpoint);
        return weights is null ? null : Create(checkpoint.Model, weights, threads);
    }

    /// <summary>Makes a model of weights, which it disposes.</summary>
    internal static InferenceModel Create(ModelConfig config, CpuWeights weights, int threads)
    {
        var team = new ThreadTeam(threads);
        try
        {
            return SegmentedInferenceModel.Over(new CpuInferenceModel(config, weights, team));
        }
        catch
        {
            team.Dispose();
            weights.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    internal override ReadOnlySpan<float> MemoryTokens => Config.Memory is { } memory
        ? new(weights.Vector(MemoryConfig.TokensName), memory.Tokens * Config.Width)
        : [];

    /// <inheritdoc/>
    protected override SequenceState CreateState(int rows, int capacity) => NewState(rows, capacity, canDrop: false);

    /// <inheritdoc/>
    internal override string? ObstacleToDropping => TokenDropping.ObstacleTo(Config);

    /// <inheritdoc/>
    private protected override SequenceState CreateDroppingState(int rows, int capacity) => NewState(rows, capacity, canDrop: true);

    private CpuSequenceState NewState(int rows, int capacity, bool canDrop)
    {
        var layers = stack.NewState(rows, capacity);
        if (canDrop && rotation is not null) layers.KeepUnrotated();
        return new(this, layers, rows, capacity, canDrop);
    }

    /// <inheritdoc/>
    protected override void Compute(SequenceState state, ReadOnlySpan<int> rows, ReadOnlySpan<int> counts, InferenceInput input, bool all)
    {
        var held = (CpuSequenceState)state;
        var wanted = all ? input.Tokens : rows.Length;
        if (wanted > last.Tokens) (last, logits, headProduct) = Outputs(wanted);
        var (part, done, read) = (0, 0, 0);    // the current row, how many of its tokens have been read, and of all
        while (part < rows.Length)
        {
            batch.Clear();
            var (firstPart, firstToken) = (part, read);
            while (part < rows.Length && batch.Tokens < MostBatch)
            {
                var (row, count) = (rows[part], Math.Min(counts[part] - done, MostBatch - batch.Tokens));
                batch.Add(row, state.Lengths[row], count, state.Lengths[row] + counts[part] - done);
                (done, read) = (done + count, read + count);
                if (done < counts[part]) break;
                (part, done) = (part + 1, 0);
            }
            Run(held, input.Slice(firstToken, batch.Tokens));
            Keep(held, firstPart, part, firstToken, all);
        }
        headProduct.Run(last, wanted);                                             // [rows or tokens, V]
        if (logitScale != 1) VectorKernels.Scale(logitScale, logits.Values, logits.Values, wanted * logits.Width);
    }

    /// <inheritdoc/>
    protected override Span<float> LogitsOf(int output) => new(logits.Row(output), logits.Width);

    /// <inheritdoc/>
    protected override ReadOnlySpan<float> HiddenOf(int output) => new(last.Row(output), Config.Width);

    /// <inheritdoc/>
    protected override float[] EncodePicture(ReadOnlySpan<float> pixels) => vision!.Encode(pixels);

    // The hidden states of all tokens of the batch: [N, C].
    private void Run(CpuSequenceState state, InferenceInput input)
    {
        rotation?.Prepare(batch);
        batch.SetIds(input.Ids);
        for (var token = 0; token < input.Tokens; token++) Embed(input, token, stream.Row(token));    // [N, C]
        stack.Run(batch, state.Layers);                                                               // [N, C]
        norm?.Apply(stream, stream, input.Tokens);
    }

    private void Embed(InferenceInput input, int token, float* x)
    {
        if (input.IsEmbeddings) input.Embeddings.Slice(token * Config.Width, Config.Width).CopyTo(new(x, Config.Width));
        else if (input.Ids[token] is < 0 and var picture) EmbedPicture(picture, x);
        else embedding.Read(input.Ids[token], x);
        if (positions is not null) VectorKernels.AddScaled(1, positions + (long)batch.Position(token) * Config.Width, x, Config.Width);
    }

    // The picture's own vector or, where cross-attention reads it, what stands for any picture.
    private void EmbedPicture(int id, float* x)
    {
        if (mark is null) VectorsOf(id).Span.CopyTo(new(x, Config.Width));
        else VectorKernels.Copy(mark, x, Config.Width);
    }

    // Advances the rows, and keeps the hidden states that logits are made of.
    private void Keep(CpuSequenceState state, int firstPart, int endPart, int firstToken, bool all)
    {
        for (var span = 0; span < batch.Spans; span++)
        {
            var (first, count) = (batch.First(span), batch.Count(span));
            state.Advance(batch.RowOf(span), count);
            if (all)
                for (var token = first; token < first + count; token++)
                    VectorKernels.Copy(stream.Row(token), last.Row(firstToken + token), Config.Width);
            else if (firstPart + span < endPart)
                VectorKernels.Copy(stream.Row(first + count - 1), last.Row(firstPart + span), Config.Width);
        }
    }

    private (Activations Last, Activations Logits, MatrixProducts Product) Outputs(int tokens)
    {
        last?.Dispose();
        logits?.Dispose();
        var outputs = new Activations(tokens, Config.VocabularySize!.Value);
        return (new Activations(tokens, Config.Width), outputs, new MatrixProducts(team, new LinearMap(head, null, outputs)));
    }

    private float* PositionTable()
    {
        switch (Config.Position)
        {
            case LearnedPositionConfig:
                return weights.Vector("model.embed_positions.weight");
            case SinusoidalPositionConfig:
                var width = Config.Width;
                return weights.Constants(
                    from position in Enumerable.Range(0, Config.Places)
                    from i in Enumerable.Range(0, width)
                    let angle = position * Math.Pow(SinusoidalPositionConfig.Base, -(i / 2 * 2.0) / width)
                    select (float)(i % 2 == 0 ? Math.Sin(angle) : Math.Cos(angle)));
            default:
                return null;
        }
    }

    /// <inheritdoc/>
    protected override string HashWeights() => weights.Hash();

    /// <inheritdoc/>
    public override void Dispose()
    {
        team.Dispose();
        last.Dispose();
        logits.Dispose();
        rotation?.Dispose();
        vision?.Dispose();
        workspace.Dispose();
        weights.Dispose();
    }
}
