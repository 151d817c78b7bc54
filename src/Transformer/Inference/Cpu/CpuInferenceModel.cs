using Transformer.Configuration;
using Transformer.Formats;

namespace Transformer.Inference.Cpu;

// N tokens · C width · V vocabulary

/// <summary>
/// A model made for writing: the same numbers as libtorch's pass, to rounding, computed by kernels of this project's own that stream each
/// weight once a token, without libtorch and without allocating. Weights are read where the model has them, or packed into fewer bits.
/// </summary>
/// <remarks>
/// What a row computes does not depend on the rows beside it, nor on how its text is cut into passes: the same tokens give the same logits to the last bit;
/// but for dynamic NTK past its original length, where a batch turns all of its tokens by the angles of its last. One call at a time.
/// </remarks>
public sealed unsafe class CpuInferenceModel : IDisposable
{
    private const int MostTokens = 192;    // of a batch: enough to make full use of each weight that is read

    private readonly CpuWeights weights;
    private readonly ThreadTeam team;
    private readonly Workspace workspace;
    private readonly RotaryAngles? rotation;
    private readonly WeightMatrix embedding;
    private readonly WeightMatrix head;
    private readonly float* positions;
    private readonly BlockInference[] blocks;
    private readonly NormInference? norm;
    private readonly Activations stream, hidden;
    private readonly int streams;
    private readonly float logitScale;
    private readonly TokenBatch batch = new(MostTokens);
    private Activations last, logits;
    private MatrixProducts headProduct;
    private int ready;    // logits of so many places

    private CpuInferenceModel(ModelConfig config, CpuWeights weights, ThreadTeam team)
    {
        (this.weights, this.team, Config) = (weights, team, config);
        workspace = new Workspace(MostTokens);
        if (Config.Position is RotaryPositionConfig rope && Config.PositionedMixers.FirstOrDefault() is { } turned)
            rotation = new RotaryAngles(rope, turned.HeadWidthAt(Config.Width), MostTokens, Config.ContextLength);
        var plan = new InferencePlan(Config, weights, team, workspace, rotation, DistanceBias.Of(Config, weights));
        embedding = weights.Matrix("model.embed_tokens.weight");
        head = Config.TiedHead ? embedding : weights.Matrix("lm_head.weight");
        positions = PositionTable();
        blocks = [.. Enumerable.Range(0, Config.Layers).Select(layer => new BlockInference(plan, layer))];
        if (Config.Residual.LastNorm) norm = new NormInference(Config.Norm, weights, "model.norm");
        streams = Config.Residual is HyperConnectionsResidualConfig hyper && Config.Layers > 0 ? hyper.Streams : 1;
        (stream, hidden) = (workspace.Buffer("stream", streams * Config.Width), workspace.Buffer("hidden state", Config.Width));
        logitScale = Config.Initialization is MupInitializationConfig mup ? (float)((double)mup.BaseWidth / Config.Width) : 1;
        (last, logits, headProduct) = Outputs(1);
    }

    /// <summary>The architecture.</summary>
    public ModelConfig Config { get; }

    /// <summary>Makes an engine of a checkpoint, without libtorch: the file is mapped into memory and its weights are read where they lie, or packed.</summary>
    /// <param name="checkpoint">The checkpoint; where there is an engine, it ends with it.</param>
    /// <param name="format">How matrices lie in memory.</param>
    /// <param name="threads">How many threads work.</param>
    /// <returns>Null where the weights are in a type that the kernels do not read.</returns>
    /// <exception cref="InputException">The checkpoint's tensors are not those of its model; the message lists all that differ.</exception>
    public static CpuInferenceModel? TryCreate(CheckpointFolder checkpoint, WeightFormat format, int threads)
    {
        checkpoint.Check(ParameterShapes.Of(checkpoint.Model));
        return CpuWeights.Of(checkpoint.Names.Select(checkpoint.Tensor), format, checkpoint) is { } weights ? Create(checkpoint.Model, weights, threads) : null;
    }

    /// <summary>Makes an engine of weights, which end with it.</summary>
    internal static CpuInferenceModel Create(ModelConfig config, CpuWeights weights, int threads)
    {
        var team = new ThreadTeam(threads);
        try
        {
            return new CpuInferenceModel(config, weights, team);
        }
        catch
        {
            team.Dispose();
            weights.Dispose();
            throw;
        }
    }

    /// <summary>The state of rows that have no tokens yet.</summary>
    /// <param name="rows">How many texts there is a place for.</param>
    /// <param name="capacity">The most tokens of a text, at most the context length; the context length where null.</param>
    public CpuSequenceState NewState(int rows, int? capacity = null)
    {
        var length = capacity ?? Config.ContextLength;
        if (length < 1 || length > Config.ContextLength)
            throw new ArgumentOutOfRangeException(nameof(capacity), capacity, $"the context length is {Config.ContextLength}");
        return new CpuSequenceState(this, [.. blocks.Select(block => block.NewState(rows, length))], rows, length);
    }

    /// <summary>Reads texts on: the tokens of several rows, one behind the other.</summary>
    /// <param name="state">What <see cref="NewState"/> of this engine made; it takes in the tokens.</param>
    /// <param name="rows">The rows that go on, each once.</param>
    /// <param name="counts">How many tokens each of them gets, one or more.</param>
    /// <param name="tokens">The tokens, those of the first row first.</param>
    /// <param name="all">Whether the logits of every token are wanted; else only those of each row's last.</param>
    /// <exception cref="InputException">The tokens do not fit the state.</exception>
    /// <exception cref="ArgumentException">The state is another engine's, a row stands twice, or the numbers of rows, counts and tokens do not agree.</exception>
    public void Read(CpuSequenceState state, ReadOnlySpan<int> rows, ReadOnlySpan<int> counts, ReadOnlySpan<int> tokens, bool all = false)
    {
        Check(state, rows, counts, tokens);
        ready = 0;
        var wanted = all ? tokens.Length : rows.Length;
        if (wanted > last.Tokens) (last, logits, headProduct) = Outputs(wanted);
        var (part, done, read) = (0, 0, 0);    // the current row, how many of its tokens have been read, and of all
        while (part < rows.Length)
        {
            batch.Clear();
            var (firstPart, firstToken) = (part, read);
            while (part < rows.Length && batch.Tokens < MostTokens)
            {
                var (row, count) = (rows[part], Math.Min(counts[part] - done, MostTokens - batch.Tokens));
                batch.Add(row, state.Lengths[row], count, state.Lengths[row] + counts[part] - done);
                (done, read) = (done + count, read + count);
                if (done < counts[part]) break;
                (part, done) = (part + 1, 0);
            }
            Run(state, tokens.Slice(firstToken, batch.Tokens));
            Keep(state, firstPart, part, firstToken, all);
        }
        headProduct.Run(last, wanted);                                             // [rows or tokens, V]
        if (logitScale != 1) VectorKernels.Scale(logitScale, logits.Values, logits.Values, wanted * logits.Width);
        ready = wanted;
    }

    /// <summary>The logits that the last call of <see cref="Read"/> made; the caller may overwrite them, and the next call ends the span.</summary>
    /// <param name="place">Which of its rows or, where the logits of every token were wanted, of its tokens.</param>
    /// <returns>[V]</returns>
    /// <exception cref="ArgumentOutOfRangeException">The last call made no logits of this place.</exception>
    public Span<float> LogitsOf(int place) => (uint)place < (uint)ready
        ? new(logits.Row(place), logits.Width)
        : throw new ArgumentOutOfRangeException(nameof(place), place, $"there are logits of {ready} places");

    // The hidden states of all tokens of the batch: [N, C].
    private void Run(CpuSequenceState state, ReadOnlySpan<int> tokens)
    {
        rotation?.Prepare(batch);
        for (var token = 0; token < tokens.Length; token++) Embed(tokens[token], batch.Position(token), stream.Row(token));    // [N, n C]
        for (var layer = 0; layer < blocks.Length; layer++) blocks[layer].Run(batch, stream, state.Layer(layer));
        for (var token = 0; token < tokens.Length; token++)
        {
            Close(stream.Row(token), hidden.Row(token));
            norm?.Apply(hidden.Row(token), hidden.Row(token), Config.Width);
        }
    }

    private void Embed(int token, int position, float* x)
    {
        embedding.Read(token, x);
        if (positions is not null) VectorKernels.AddScaled(1, positions + (long)position * Config.Width, x, Config.Width);
        for (var copy = 1; copy < streams; copy++) VectorKernels.Scale(1, x, x + copy * Config.Width, Config.Width);
    }

    // The mean of the streams.
    private void Close(float* streams, float* x)
    {
        VectorKernels.Scale(1f / this.streams, streams, x, Config.Width);
        for (var other = 1; other < this.streams; other++) VectorKernels.AddScaled(1f / this.streams, streams + other * Config.Width, x, Config.Width);
    }

    // Advances the rows, and puts aside what logits are made of.
    private void Keep(CpuSequenceState state, int firstPart, int endPart, int firstToken, bool all)
    {
        for (var span = 0; span < batch.Spans; span++)
        {
            var (first, count) = (batch.First(span), batch.Count(span));
            state.Advance(batch.RowOf(span), count);
            if (all)
                for (var token = first; token < first + count; token++) VectorKernels.Scale(1, hidden.Row(token), last.Row(firstToken + token), Config.Width);
            else if (firstPart + span < endPart) VectorKernels.Scale(1, hidden.Row(first + count - 1), last.Row(firstPart + span), Config.Width);
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
                    from position in Enumerable.Range(0, Config.ContextLength)
                    from i in Enumerable.Range(0, width)
                    let angle = position * Math.Pow(10_000, -(i / 2 * 2.0) / width)
                    select (float)(i % 2 == 0 ? Math.Sin(angle) : Math.Cos(angle)));
            default:
                return null;
        }
    }

    private void Check(CpuSequenceState state, ReadOnlySpan<int> rows, ReadOnlySpan<int> counts, ReadOnlySpan<int> tokens)
    {
        if (!state.IsOf(this)) throw new ArgumentException("the state is another engine's", nameof(state));
        if (rows.Length != counts.Length) throw new ArgumentException($"{counts.Length} counts for {rows.Length} rows", nameof(counts));
        var sum = 0L;
        for (var part = 0; part < rows.Length; part++)
        {
            var row = rows[part];
            if ((uint)row >= (uint)state.Lengths.Count) throw new ArgumentOutOfRangeException(nameof(rows), row, $"the state has {state.Lengths.Count} rows");
            if (rows[..part].Contains(row)) throw new ArgumentException($"row {row} stands twice", nameof(rows));
            sum += counts[part];
            var end = (long)state.Lengths[row] + counts[part];
            if (end > state.Capacity)
                throw new InputException($"{end} tokens do not fit the context length of {state.Capacity}. Give a shorter text or a model with a longer context.");
            if (counts[part] < 1) throw new ArgumentException("every row gets one token or more", nameof(counts));
        }
        if (sum != tokens.Length) throw new ArgumentException($"{tokens.Length} tokens for rows that get {sum}", nameof(tokens));
        foreach (var token in tokens)
            if ((uint)token >= (uint)head.Outputs) throw new ArgumentOutOfRangeException(nameof(tokens), token, $"the vocabulary has {head.Outputs} tokens");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        team.Dispose();
        last.Dispose();
        logits.Dispose();
        rotation?.Dispose();
        workspace.Dispose();
        weights.Dispose();
    }
}
