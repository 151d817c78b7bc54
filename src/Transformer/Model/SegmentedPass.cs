using Transformer.Layers;
using Transformer.Layers.Attention;
using Transformer.Layers.Memory;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Model;

// B batch · T tokens of a segment · N tokens of a row · K segments · m memory tokens · C width

/// <summary>
/// Rows that are longer than a segment, read one segment after the other, each with what was remembered of those before it.
/// </summary>
/// <param name="model">A model that has segments.</param>
internal sealed class SegmentedPass(TransformerModel model)
{
    /// <summary>After how many segments the gradient is cut; never within a row where null.</summary>
    public int? BackpropagationSegments { get; init; }

    /// <summary>Collects what layers add to the loss; null outside training.</summary>
    public AuxiliaryLosses? AuxiliaryLosses { get; init; }

    /// <summary>Collects the spans of each learned window over all words: [B or 1, H, N or 1]. Null where they are not needed.</summary>
    public IDictionary<LearnedSpan, Tensor>? LearnedSpans { get; init; }

    /// <summary>Collects where groups of words end. Null where that is not needed.</summary>
    public IList<TokenBoundaries>? Boundaries { get; init; }

    /// <summary>Activation checkpointing; null where blocks keep all activations.</summary>
    public Recomputation? Recomputation { get; init; }

    /// <summary>Reads rows.</summary>
    /// <param name="ids">[B, N], integers below V.</param>
    /// <param name="memory">What is remembered of the text before them; null where all rows begin. It stays the caller's.</param>
    /// <param name="starts">Which segments begin a new text: [B, K], row by row; none where null.</param>
    /// <returns>The last layer's normalised output, [B, N, C], and what is remembered of the rows, which is the caller's.</returns>
    public (Tensor Hidden, SegmentMemory Memory) Read(Tensor ids, SegmentMemory? memory = null, IReadOnlyList<bool>? starts = null)
    {
        using var scope = NewDisposeScope();
        var (rows, tokens, length) = ((int)ids.shape[0], ids.shape[1], model.Config.ContextLength);
        var segments = (int)((tokens + length - 1) / length);
        var beside = model.Config.Places - length;
        var outputs = new List<Tensor>();
        var before = memory ?? new SegmentMemory(new long[rows]);
        for (var segment = 0; segment < segments; segment++)
        {
            if (starts is not null)
                before = Owned(before.Restarted([.. Enumerable.Range(0, rows).Select(row => starts[row * segments + segment])]), before);
            if (BackpropagationSegments is { } cut && segment > 0 && segment % cut == 0) before = Owned(before.Detached(), before);
            var words = ids.narrow(1, segment * length, Math.Min(length, tokens - segment * length));
            var after = new SegmentMemory([.. before.Lengths.Select(read => read + words.shape[1] + beside)]);
            outputs.Add(Segment(words, before, after));                                             // [B, T, C]
            before = Owned(after, before);
        }
        return (scope.MoveToOuter(cat(outputs, 1)), before);

        // Blocks that are computed again read the memory between two segments again.
        SegmentMemory Owned(SegmentMemory next, SegmentMemory previous)
        {
            if (ReferenceEquals(next, previous) || ReferenceEquals(previous, memory)) return next;
            if (Recomputation is null) previous.Dispose();
            else Recomputation.Keep(previous);
            return next;
        }
    }

    private Tensor Segment(Tensor words, SegmentMemory before, SegmentMemory after)
    {
        using var scope = NewDisposeScope();
        var (rows, count) = (words.shape[0], words.shape[1]);
        var embeddings = model.Embed(words);                                                        // [B, T, C]
        var ids = words;
        var (first, last) = (model.Config.PlacesBefore, model.Config.PlacesAfter);
        if (model.MemoryTokens is { } initial)
        {
            var memory = Tokens(initial, before, rows);                                             // [B, m, C]
            embeddings = cat([.. first > 0 ? [memory] : (Tensor[])[], embeddings, .. last > 0 ? [memory] : (Tensor[])[]], 1);
            ids = nn.functional.pad(words, [first, last], value: -1);                               // memory tokens are no tokens of a text
        }
        var boundaries = Boundaries is null ? null : new List<TokenBoundaries>();
        var spans = LearnedSpans is null ? null : new Dictionary<LearnedSpan, Tensor>();
        var hidden = model.Pass(embeddings, new()
        {
            Ids = ids,
            MemoryBefore = before,
            MemoryAfter = after,
            AuxiliaryLosses = AuxiliaryLosses,
            LearnedSpans = spans,
            Boundaries = boundaries,
            Recomputation = Recomputation,
        });                                                                                         // [B, m + T + m, C]
        foreach (var (window, own) in spans ?? []) KeepSpans(window, own, first, count);
        foreach (var (index, own) in (boundaries ?? []).Index()) KeepBoundaries(index, own, first, count);
        if (first > 0) after.Keep(model, hidden.narrow(1, last > 0 ? first + count : 0, first));
        return scope.MoveToOuter(hidden.narrow(1, first, count));
    }

    // Spans that do not depend on the token are the same in every segment.
    private void KeepSpans(LearnedSpan window, Tensor own, long first, long count)
    {
        using (own)
        {
            if (!LearnedSpans!.TryGetValue(window, out var known)) LearnedSpans[window] = Words().DetachFromDisposeScope();
            else if (own.shape[^1] > 1)
                using (known) LearnedSpans[window] = cat([known, Words()], -1).DetachFromDisposeScope();
        }

        Tensor Words() => own.shape[^1] > 1 ? own.narrow(-1, first, count).clone() : own.clone();
    }

    private void KeepBoundaries(int index, TokenBoundaries own, long first, long count)
    {
        using (own)
        {
            var words = own.Ends.narrow(1, first, count);
            if (Boundaries!.Count == index) Boundaries.Add(new(own.Config, words.clone().DetachFromDisposeScope(), Logits: null));
            else
                using (Boundaries[index])
                    Boundaries[index] = Boundaries[index] with { Ends = cat([Boundaries[index].Ends, words], 1).DetachFromDisposeScope() };
        }
    }

    // What stands at the memory places: what the last segment wrote or, where a text begins, what the model has learned to begin with.
    private Tensor Tokens(Tensor initial, SegmentMemory before, long rows)
    {
        var beginning = initial.unsqueeze(0).expand(rows, -1, -1);                                  // [B, m, C]
        if (before.Of(model) is not { } remembered) return beginning;
        return before.AllHaveBegun ? remembered[0] : where(before.Begun(3, initial.device) > 0, remembered[0], beginning);
    }
}
