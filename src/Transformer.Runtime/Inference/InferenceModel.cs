using Transformer.Configuration;

namespace Transformer.Inference;

// N tokens · C width · V vocabulary

/// <summary>
/// A language model, whatever computes it. Generation uses nothing else of a model: tokens enter by <see
/// cref="Read(SequenceState, ReadOnlySpan{int}, ReadOnlySpan{int}, InferenceInput, bool)"/>, a <see cref="SequenceState"/>
/// holds what has been read. One call at a time.
/// </summary>
public abstract class InferenceModel : IDisposable
{
    private int outputs;
    private string? weightsHash;
    private PictureTable? pictures;

    /// <summary>The architecture.</summary>
    public abstract ModelConfig Config { get; }

    /// <summary>What computes the model, and where: cpu, torch/cuda, onnx. A state of one backend cannot be used by another.</summary>
    public abstract string Backend { get; }

    /// <summary>What computes a pass: this model or, where it reads texts segment by segment, the one that computes a segment.</summary>
    public virtual InferenceModel Core => this;

    /// <summary>A hash of the weights as they are packed; computed once, on first use.</summary>
    public string WeightsHash => weightsHash ??= HashWeights();

    /// <summary>The most tokens that a row's state may hold.</summary>
    internal virtual int MostTokens => Config.Places;

    /// <summary>The memory tokens with which a text begins: [m, C]; empty in a model without.</summary>
    internal virtual ReadOnlySpan<float> MemoryTokens => [];

    // A pass rotates all of its tokens by the angles of its last one, so that a text split into passes in another way gives other numbers.
    internal bool AnglesFollowLength => Config.Position is RotaryPositionConfig { Scaling: DynamicNtkScalingConfig };

    /// <summary>The state of rows that have no tokens yet.</summary>
    /// <param name="rows">How many texts it holds.</param>
    /// <param name="capacity">The most tokens of a text, at most the context length; the context length where null.</param>
    /// <exception cref="ArgumentOutOfRangeException">There are no rows, or the capacity is not from 1 to the context length.</exception>
    public SequenceState NewState(int rows, int? capacity = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        return CreateState(rows, CapacityOf(MostTokens, capacity));
    }

    /// <summary>Why tokens within a text cannot be dropped from states of this model; null where they can.</summary>
    internal virtual string? ObstacleToDropping => $"a state of {Backend} cannot drop tokens";

    /// <summary>As <see cref="NewState"/>, but tokens within a text can be dropped (<see cref="SequenceState.Drop"/>).</summary>
    /// <exception cref="InputException">They cannot in this model.</exception>
    internal SequenceState NewDroppingState(int rows, int? capacity = null) => ObstacleToDropping is { } obstacle
        ? throw new InputException(obstacle)
        : CreateDroppingState(rows, CapacityOf(MostTokens, capacity));

    /// <summary>
    /// What stands for a picture in a text: ids below 0, which <see cref="Read(SequenceState, ReadOnlySpan{int}, ReadOnlySpan{int},
    /// InferenceInput, bool)"/> takes as it takes tokens. The picture is encoded here, and only the first time that the model sees it.
    /// </summary>
    /// <param name="pixels">The picture as <see cref="VisionConfig.Image"/> says: [3, S, S].</param>
    /// <exception cref="InputException">The model reads text alone, or this backend no pictures.</exception>
    public int[] Picture(ReadOnlySpan<float> pixels)
    {
        if (Config.Vision is not { } vision)
            throw new InputException("the model reads text alone, not pictures. Take one that was trained with model.vision.");
        var numbers = 3L * vision.Image.Size * vision.Image.Size;
        if (pixels.Length != numbers)
            throw new ArgumentException($"{pixels.Length} numbers for a picture of {numbers}", nameof(pixels));
        pictures ??= new PictureTable(vision.Placeholders);
        return pictures.IdsOf(pixels, EncodePicture);
    }

    /// <summary>Whether an id stands for a picture that the model has read.</summary>
    internal bool IsPicture(int id) => pictures?.Has(id) == true;

    /// <summary>What an id below 0 stands for: a vector, [C], or for cross-attention all vectors of its picture, [N, C].</summary>
    internal ReadOnlyMemory<float> VectorsOf(int id) => pictures!.VectorsOf(id);

    /// <summary>What the text reads of a picture.</summary>
    /// <param name="pixels">[3, S, S]</param>
    /// <returns>[N, C]</returns>
    /// <exception cref="InputException">This backend reads no pictures.</exception>
    protected virtual float[] EncodePicture(ReadOnlySpan<float> pixels) =>
        throw new InputException($"pictures cannot be read by {Backend}");

    /// <summary>Loads a state that <see cref="SequenceState.Save"/> saved, perhaps in another process.</summary>
    /// <param name="path">The file.</param>
    /// <param name="tokenizerHash">A hash of the tokenizer; null where it does not matter.</param>
    /// <exception cref="InputException">The file is no state, is damaged, or belongs to another backend, model or
    /// tokenizer; or ranks share the model.</exception>
    public SequenceState LoadState(string path, string? tokenizerHash = null)
    {
        RefuseUnsavable();
        return StateFile.Read(path, this, tokenizerHash).State;
    }

    /// <summary>Continues texts: reads the tokens of several rows, one behind the other.</summary>
    /// <param name="state">What <see cref="NewState"/> of this model made; the tokens are appended to it.</param>
    /// <param name="rows">The rows that go on, each once.</param>
    /// <param name="counts">How many tokens each of them gets, one or more.</param>
    /// <param name="input">The tokens, those of the first row first.</param>
    /// <param name="all">Whether the logits of every token are wanted; else only those of each row's last.</param>
    /// <exception cref="InputException">The tokens do not fit the state, or the model does not take embeddings.</exception>
    /// <exception cref="ArgumentException">The state is another model's, a row is given twice, or the numbers of rows, counts and tokens do
    /// not agree.</exception>
    public void Read(SequenceState state, ReadOnlySpan<int> rows, ReadOnlySpan<int> counts, InferenceInput input, bool all = false)
    {
        Check(state, rows, counts, input);
        outputs = 0;
        if (rows.IsEmpty) return;
        Compute(state, rows, counts, input, all);
        outputs = all ? input.Tokens : rows.Length;
    }

    /// <inheritdoc cref="Read(SequenceState, ReadOnlySpan{int}, ReadOnlySpan{int}, InferenceInput, bool)"/>
    public void Read(SequenceState state, ReadOnlySpan<int> rows, ReadOnlySpan<int> counts, ReadOnlySpan<int> input, bool all = false) =>
        Read(state, rows, counts, (InferenceInput)input, all);

    /// <summary>The logits of the last call of Read, valid until the next one. The caller may overwrite them.</summary>
    /// <param name="output">Which of its rows or, where the logits of every token were wanted, of its tokens.</param>
    /// <returns>[V]</returns>
    /// <exception cref="ArgumentOutOfRangeException">The last call has no such output.</exception>
    public Span<float> Logits(int output) => LogitsOf(Checked(output));

    /// <summary>The normalised last hidden state, from which the head makes logits; valid until the next call of Read.</summary>
    /// <param name="output">As for <see cref="Logits"/>.</param>
    /// <returns>[C]</returns>
    /// <exception cref="ArgumentOutOfRangeException">The last call has no such output.</exception>
    /// <exception cref="InputException">This backend gives logits only.</exception>
    public ReadOnlySpan<float> Hidden(int output) => HiddenOf(Checked(output));

    /// <summary>Makes a state. The arguments have been checked.</summary>
    protected abstract SequenceState CreateState(int rows, int capacity);

    /// <summary>Makes a state of which tokens can be dropped, where there is no <see cref="ObstacleToDropping"/>.</summary>
    private protected virtual SequenceState CreateDroppingState(int rows, int capacity) => throw new NotSupportedException();

    /// <summary>Reads tokens and advances the state. The arguments have been checked; there is at least one row.</summary>
    protected abstract void Compute(SequenceState state, ReadOnlySpan<int> rows, ReadOnlySpan<int> counts, InferenceInput input, bool all);

    /// <summary>The logits of an output that exists.</summary>
    protected abstract Span<float> LogitsOf(int output);

    /// <summary>The hidden state of an output that exists.</summary>
    protected abstract ReadOnlySpan<float> HiddenOf(int output);

    /// <summary>Computes <see cref="WeightsHash"/>.</summary>
    protected abstract string HashWeights();

    /// <summary>Throws if states can be neither saved nor loaded.</summary>
    internal virtual void RefuseUnsavable()
    {
    }

    /// <inheritdoc/>
    public abstract void Dispose();

    /// <summary>The most tokens of a row for a requested capacity.</summary>
    internal static int CapacityOf(int most, int? requested)
    {
        var capacity = requested ?? most;
        return capacity >= 1 && capacity <= most
            ? capacity
            : throw new ArgumentOutOfRangeException(nameof(requested), capacity, $"the context length is {most}");
    }

    /// <summary>Throws if a text of so many tokens is too long.</summary>
    internal static void CheckLength(long length, int limit)
    {
        if (length > limit)
            throw new InputException(
                $"{length} tokens do not fit the context length of {limit}. Give a shorter text or a model with a longer context.");
    }

    private void Check(SequenceState state, ReadOnlySpan<int> rows, ReadOnlySpan<int> counts, InferenceInput input)
    {
        if (!state.BelongsTo(this)) throw new ArgumentException("the state is another model's", nameof(state));
        if (rows.Length != counts.Length) throw new ArgumentException($"{counts.Length} counts for {rows.Length} rows", nameof(counts));
        var sum = 0L;
        for (var part = 0; part < rows.Length; part++)
        {
            var row = rows[part];
            state.Check(row);
            if (rows[..part].Contains(row)) throw new ArgumentException($"row {row} is given twice", nameof(rows));
            if (counts[part] < 1) throw new ArgumentException("every row gets one token or more", nameof(counts));
            sum += counts[part];
            CheckLength((long)state.Lengths[row] + counts[part], state.Capacity);
        }
        if (sum != input.Tokens) throw new ArgumentException($"{input.Tokens} tokens for rows that get {sum}", nameof(input));
        if (input.IsEmbeddings && input.Width != Config.Width)
            throw new ArgumentException($"embeddings of width {input.Width} for a model of width {Config.Width}", nameof(input));
        foreach (var token in input.Ids)
        {
            if ((uint)token >= (uint)Config.VocabularySize!.Value && !IsPicture(token))
                throw new ArgumentOutOfRangeException(nameof(input), token, $"the vocabulary has {Config.VocabularySize} tokens");
        }
    }

    private int Checked(int output) => (uint)output < (uint)outputs
        ? output
        : throw new ArgumentOutOfRangeException(nameof(output), output, $"the last call has {outputs} outputs");
}
