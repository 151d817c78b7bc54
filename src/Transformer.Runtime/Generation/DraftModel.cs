using System.Runtime.InteropServices;
using Transformer.Inference;

namespace Transformer.Generation;

// V vocabulary · K draft tokens

/// <summary>
/// Proposes how a text goes on by a smaller model (Leviathan et al. 2023; Chen et al. 2023), each draft token drawn from that model's
/// distribution after the ones before. Texts longer than its context, and texts with pictures, get no draft tokens.
/// </summary>
internal sealed class DraftModel : Proposer
{
    private readonly InferenceModel model;
    private readonly SequenceState state;
    private readonly TokenSampler sampler;
    private readonly int vocabularySize;
    private readonly float[] probabilities;    // [K, V]
    private readonly List<int> held = [];      // the tokens of row 0
    private readonly int drafting;

    /// <param name="model">The smaller model; it stays the caller's.</param>
    /// <param name="options">How the text's tokens are chosen: draft tokens that are drawn in the same way are accepted most often.</param>
    /// <param name="vocabularySize">V.</param>
    /// <param name="draftTokens">K, the most draft tokens of a call.</param>
    public DraftModel(InferenceModel model, SamplingOptions options, int vocabularySize, int draftTokens)
    {
        (this.model, this.vocabularySize, probabilities) = (model, vocabularySize, new float[draftTokens * vocabularySize]);
        // A random stream of its own: verification must be independent of the draw of the draft token.
        sampler = new TokenSampler(options, vocabularySize, row: -1);
        // Where the state cannot drop draft tokens, they are read by a copy of the row.
        state = model.NewState(rows: 2);
        drafting = state.CanTruncate ? 0 : 1;
    }

    /// <inheritdoc/>
    public override int Propose(ReadOnlySpan<int> text, Span<int> drafted)
    {
        var count = Math.Min(drafted.Length, state.Capacity - text.Length + 1);
        if (count < 1 || text.ContainsAnyInRange(int.MinValue, -1)) return 0;
        Read(text);
        state.Copy(from: 0, to: drafting);
        for (var draft = 0; ; draft++)
        {
            drafted[draft] = sampler.Propose(model.Logits(0)[..vocabularySize], Row(draft));
            if (draft + 1 == count) return count;
            model.Read(state, [drafting], [1], drafted.Slice(draft, 1));
            if (drafting == 0) held.Add(drafted[draft]);
        }
    }

    /// <inheritdoc/>
    public override ReadOnlySpan<float> ProbabilitiesOf(int draft) => Row(draft);

    private void Read(ReadOnlySpan<int> text)
    {
        var reused = state.ReusablePrefix(CollectionsMarshal.AsSpan(held), text);
        state.Truncate(0, reused);
        held.RemoveRange(reused, held.Count - reused);
        held.AddRange(text[reused..]);
        model.Read(state, [0], [text.Length - reused], text[reused..]);
    }

    private Span<float> Row(int draft) => probabilities.AsSpan(draft * vocabularySize, vocabularySize);

    /// <inheritdoc/>
    public override void Dispose() => state.Dispose();
}
