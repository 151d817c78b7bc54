using Transformer.Configuration;

namespace Transformer.Inference;

// T words of a segment · m memory tokens · C width · V vocabulary

/// <summary>
/// Texts of any length, read by a model that computes one segment of T words at a time: when a row's segment is full and more follows, its
/// memory tokens are written, what is remembered is carried over, and the next segment begins with the memory tokens that are read. For a
/// row it makes no difference how its text is split into calls.
/// </summary>
public sealed class SegmentedInferenceModel : InferenceModel
{
    private readonly InferenceModel inner;
    private readonly float[] initialMemory;    // [m, C]
    private float[] logits = [], hidden = [];
    private bool isDirect;                     // one pass of the inner model gave all outputs

    private SegmentedInferenceModel(InferenceModel inner) => (this.inner, initialMemory) = (inner, inner.MemoryTokens.ToArray());

    /// <summary>A model that reads texts segment by segment where it has segments; else the model itself.</summary>
    /// <param name="inner">What computes a segment; disposed with the result.</param>
    public static InferenceModel Over(InferenceModel inner) => inner.Config.HasSegments ? new SegmentedInferenceModel(inner) : inner;

    /// <inheritdoc/>
    public override ModelConfig Config => inner.Config;

    /// <inheritdoc/>
    public override string Backend => inner.Backend;

    /// <inheritdoc/>
    public override InferenceModel Core => inner;

    /// <inheritdoc/>
    internal override int MostTokens => Config.MostTokens;

    /// <inheritdoc/>
    internal override ReadOnlySpan<float> MemoryTokens => initialMemory;

    /// <inheritdoc/>
    internal override string? ObstacleToDropping => TokenDropping.ObstacleTo(Config);

    /// <inheritdoc/>
    protected override SequenceState CreateState(int rows, int capacity) => new SegmentedState(
        this, inner.NewState(rows), rows, capacity, Config.Memory is RecurrentMemoryConfig ? initialMemory : []);

    /// <inheritdoc/>
    protected override void Compute(SequenceState state, ReadOnlySpan<int> rows, ReadOnlySpan<int> counts, InferenceInput input, bool all)
    {
        var held = (SegmentedState)state;
        if (isDirect = HaveRoom(held, rows, counts))
        {
            inner.Read(held.Segment, rows, counts, input, all);
            for (var part = 0; part < rows.Length; part++) held.Advance(rows[part], counts[part]);
            return;
        }
        var pieces = new Piece[rows.Length];
        for (var (part, first) = (0, 0); part < rows.Length; first += counts[part++])
            pieces[part] = new(rows[part], first, counts[part], all ? first : part);
        Reserve(all ? input.Tokens : rows.Length);
        for (var left = pieces; left.Length > 0; left = [.. left.Where(piece => piece.Left > 0)])
        {
            Begin(held, [.. left.Where(piece => held.Room(piece.Row) == 0).Select(piece => piece.Row)]);
            ReadMemoryBefore(held, [.. left.Select(piece => piece.Row)]);
            Read(held, left, input, all);
        }
    }

    // Whether all tokens go into segments that have begun.
    private static bool HaveRoom(SegmentedState state, ReadOnlySpan<int> rows, ReadOnlySpan<int> counts)
    {
        for (var part = 0; part < rows.Length; part++)
            if (state.Segment.Lengths[rows[part]] == 0 || counts[part] > state.Room(rows[part])) return false;
        return true;
    }

    // Reads as much of each text as its segment has room for.
    private void Read(SegmentedState state, Piece[] pieces, InferenceInput input, bool all)
    {
        int[] counts = [.. pieces.Select(piece => Math.Min(piece.Left, state.Room(piece.Row)))];
        inner.Read(state.Segment, [.. pieces.Select(piece => piece.Row)], counts, Gather(pieces, counts, input), all);
        var output = 0;
        for (var i = 0; i < pieces.Length; i++)
        {
            var (piece, count) = (pieces[i], counts[i]);
            state.Advance(piece.Row, count);
            for (var t = 0; all && t < count; t++) Keep(output++, piece.Output + t);
            if (!all) Keep(output++, piece.Output);    // the last one stays
            piece.Next(count, all);
        }
    }

    private static InferenceInput Gather(Piece[] pieces, int[] counts, InferenceInput input)
    {
        if (!input.IsEmbeddings)
        {
            var ids = new List<int>();
            for (var i = 0; i < pieces.Length; i++) ids.AddRange(input.Ids.Slice(pieces[i].First, counts[i]));
            return ids.ToArray();
        }
        var embeddings = new List<float>();
        for (var i = 0; i < pieces.Length; i++) embeddings.AddRange(input.Slice(pieces[i].First, counts[i]).Embeddings);
        return InferenceInput.OfEmbeddings(embeddings.ToArray(), input.Width);
    }

    // Ends the segments of rows: their memory tokens write, and what is remembered is carried over.
    private void Begin(SegmentedState state, int[] rows)
    {
        if (rows.Length == 0) return;
        if (Config.PlacesAfter > 0) ReadMemory(state, rows, becomesMemory: Config.Memory is RecurrentMemoryConfig);
        foreach (var row in rows) state.Segment.Carry(row);
    }

    // Reads the memory tokens before the words of segments that have none yet. Where nothing is written behind the words, what becomes of
    // them is the next segment's memory.
    private void ReadMemoryBefore(SegmentedState state, int[] rows)
    {
        if (Config.PlacesBefore == 0) return;
        int[] empty = [.. rows.Where(row => state.Segment.Lengths[row] == 0)];
        if (empty.Length > 0) ReadMemory(state, empty, becomesMemory: Config.PlacesAfter == 0);
    }

    private void ReadMemory(SegmentedState state, int[] rows, bool becomesMemory)
    {
        var (tokens, isRecurrent) = (Config.Memory!.Tokens, Config.Memory is RecurrentMemoryConfig);
        var embeddings = new float[rows.Length * initialMemory.Length];
        for (var i = 0; i < rows.Length; i++)
            (isRecurrent ? state.Memory(rows[i]) : initialMemory).CopyTo(embeddings.AsSpan(i * initialMemory.Length));
        int[] counts = [.. Enumerable.Repeat(tokens, rows.Length)];
        inner.Read(state.Segment, rows, counts, InferenceInput.OfEmbeddings(embeddings, Config.Width), all: becomesMemory);
        for (var output = 0; becomesMemory && output < rows.Length * tokens; output++)
            inner.Hidden(output).CopyTo(state.Memory(rows[output / tokens]).Slice(output % tokens * Config.Width, Config.Width));
    }

    private void Keep(int output, int wanted)
    {
        var vocabulary = Config.VocabularySize!.Value;
        inner.Logits(output).CopyTo(logits.AsSpan(wanted * vocabulary, vocabulary));
        inner.Hidden(output).CopyTo(hidden.AsSpan(wanted * Config.Width, Config.Width));
    }

    private void Reserve(int outputs)
    {
        if (hidden.Length >= outputs * Config.Width) return;
        if ((long)outputs * Config.VocabularySize!.Value > Array.MaxLength)
            throw new InputException($"the logits of {outputs} tokens at once do not fit an array. Read fewer at once.");
        (logits, hidden) = (new float[outputs * Config.VocabularySize!.Value], new float[outputs * Config.Width]);
    }

    /// <inheritdoc/>
    protected override Span<float> LogitsOf(int output) => isDirect
        ? inner.Logits(output)
        : logits.AsSpan(output * Config.VocabularySize!.Value, Config.VocabularySize!.Value);

    /// <inheritdoc/>
    protected override ReadOnlySpan<float> HiddenOf(int output) =>
        isDirect ? inner.Hidden(output) : hidden.AsSpan(output * Config.Width, Config.Width);

    /// <inheritdoc/>
    protected override string HashWeights() => inner.WeightsHash;

    internal override void RefuseUnsavable() => inner.RefuseUnsavable();

    /// <inheritdoc/>
    public override void Dispose() => inner.Dispose();

    // What is left of a row's tokens: the first of them in the input, their number, and where its output goes.
    private sealed class Piece(int row, int first, int left, int output)
    {
        public int Row => row;

        public int First { get; private set; } = first;

        public int Left { get; private set; } = left;

        public int Output { get; private set; } = output;

        public void Next(int count, bool all) => (First, Left, Output) = (First + count, Left - count, all ? Output + count : Output);
    }
}
