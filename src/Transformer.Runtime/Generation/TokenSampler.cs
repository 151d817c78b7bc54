using Transformer.Configuration;
using Transformer.Generation.Constraints;

namespace Transformer.Generation;

// V vocabulary

/// <summary>Chooses the tokens of one row, one by one, from the logits of the model. Allocates nothing after its construction.</summary>
public sealed class TokenSampler
{
    private readonly SamplingOptions options;
    private readonly float[] scratch;
    private readonly Candidate[] candidates;
    private readonly bool[] occurs;
    private readonly int[] occurring;
    private int occurringCount;
    private SplitMix64 random;

    /// <param name="options">How tokens are chosen.</param>
    /// <param name="vocabularySize">V.</param>
    /// <param name="row">Which row of a batch, and so which of the seed's streams of random numbers.</param>
    /// <exception cref="InputException">An option is wrong.</exception>
    public TokenSampler(SamplingOptions options, int vocabularySize, int row = 0)
    {
        options.Check();
        this.options = options;
        scratch = new float[vocabularySize];
        candidates = new Candidate[vocabularySize];
        occurs = new bool[vocabularySize];
        occurring = new int[vocabularySize];
        random = new SplitMix64(options.Seed, row);
    }

    /// <summary>The constraint of the text; none where null.</summary>
    internal TokenConstraint? Constraint { get; init; }

    /// <summary>Where the random numbers are.</summary>
    internal ulong RandomState
    {
        get => random.State;
        set => random.State = value;
    }

    /// <summary>Records a token of the prompt for the repetition penalty. What stands for a picture does not count.</summary>
    public void Observe(int token)
    {
        if (token < 0 || occurs[token]) return;
        occurs[token] = true;
        occurring[occurringCount++] = token;
    }

    /// <summary>Chooses and records the next token.</summary>
    /// <param name="logits">[V]; overwritten.</param>
    /// <exception cref="InputException">The logits are not finite numbers, or no token satisfies the constraint.</exception>
    public int Next(Span<float> logits) => Next(logits, draft: default);

    /// <summary>Chooses and records the next token where there is a draft of it, with the same distribution as without.</summary>
    /// <param name="logits">[V]; overwritten.</param>
    /// <param name="draft">The draft token, and the probabilities by which it was drawn.</param>
    /// <exception cref="InputException">The logits are not finite numbers, or no token satisfies the constraint.</exception>
    internal int Next(Span<float> logits, DraftToken draft)
    {
        Constraint?.Mask(logits);
        Penalise(logits);
        var mostProbable = ArgMax(logits);
        var token = options.Temperature == 0 ? mostProbable : Verify(draft, Candidates(logits, logits[mostProbable]));
        Constraint?.Append(token);
        Observe(token);
        return token;
    }

    /// <summary>
    /// Draws a draft token for <see cref="Next(Span{float}, DraftToken)"/> of another sampler; without repetition penalty.
    /// </summary>
    /// <param name="logits">[V]</param>
    /// <param name="probabilities">q, by which it was drawn: [V].</param>
    /// <exception cref="InputException">The logits are not finite numbers.</exception>
    internal int Propose(ReadOnlySpan<float> logits, Span<float> probabilities)
    {
        var mostProbable = ArgMax(logits);
        if (options.Temperature == 0) return mostProbable;
        var candidates = Candidates(logits, logits[mostProbable]);
        var total = Total(candidates);
        probabilities.Clear();
        foreach (var candidate in candidates) probabilities[candidate.Token] = (float)(candidate.Weight / total);
        return Draw(candidates);
    }

    private void Penalise(Span<float> logits)
    {
        var penalty = (float)options.RepetitionPenalty;
        if (penalty == 1) return;
        foreach (var token in occurring.AsSpan(0, occurringCount))
            logits[token] = logits[token] > 0 ? logits[token] / penalty : logits[token] * penalty;
    }

    internal static int ArgMax(ReadOnlySpan<float> logits)
    {
        var best = 0;
        for (var token = 0; token < logits.Length; token++)
        {
            if (float.IsNaN(logits[token])) throw NotNumbers();
            if (logits[token] > logits[best]) best = token;
        }
        return float.IsFinite(logits[best]) ? best : throw NotNumbers();
    }

    // Weights are unnormalised probabilities: that of the most probable token is 1.
    private Span<Candidate> Candidates(ReadOnlySpan<float> logits, float largest)
    {
        var least = options.TopK is { } k && k < logits.Length ? KthLargest(logits, k) : float.NegativeInfinity;
        var count = 0;
        for (var token = 0; token < logits.Length; token++)
            if (logits[token] >= least)
                candidates[count++] = new Candidate(Math.Exp((logits[token] - largest) / options.Temperature), token);
        var kept = candidates.AsSpan(0, count);
        if (options.TopP is { } topP and < 1) kept = Nucleus(kept, topP);
        return options.MinP is { } minP ? AtLeast(kept, minP) : kept;
    }

    // Sorting the whole vocabulary would cost more than a small model. Of n tokens, those whose probability is below (1 - p) / n add up to
    // less than 1 - p, so none of them is needed.
    private static Span<Candidate> Nucleus(Span<Candidate> candidates, double topP)
    {
        var total = Total(candidates);
        candidates = AtLeast(candidates, (1 - topP) * total / candidates.Length);
        candidates.Sort();
        var (count, sum) = (0, 0.0);
        while (count < candidates.Length && sum < topP * total) sum += candidates[count++].Weight;
        return candidates[..count];
    }

    private static Span<Candidate> AtLeast(Span<Candidate> candidates, double weight)
    {
        var count = 0;
        foreach (var candidate in candidates)
            if (candidate.Weight >= weight) candidates[count++] = candidate;
        return candidates[..count];
    }

    // Keeps x ~ q with probability min(1, p(x) / q(x)), else draws from max(0, p - q), which gives p (Leviathan et al. 2023,
    // algorithm 1). A draft token that was not drawn would be kept with probability p(x); drawing from p gives it as often,
    // and the same token as without the draft.
    private int Verify(DraftToken draft, Span<Candidate> candidates)
    {
        var q = draft.Probabilities;
        if (q.IsEmpty) return Draw(candidates);
        var (total, threshold, fallback) = (Total(candidates), random.NextDouble(), Fallback(candidates, draft.Token));
        foreach (ref var candidate in candidates)
        {
            if (candidate.Token == draft.Token && threshold * q[draft.Token] * total < candidate.Weight) return draft.Token;
            candidate = candidate with { Weight = Math.Max(0, candidate.Weight - q[candidate.Token] * total) };
        }
        return Total(candidates) > 0 ? Draw(candidates) : fallback;
    }

    // Where p and q are so close that p - q rounds to zero: the draft token if p allows it, else the most probable token.
    private static int Fallback(ReadOnlySpan<Candidate> candidates, int draft)
    {
        var mostProbable = candidates[0];
        foreach (var candidate in candidates)
        {
            if (candidate.Token == draft && candidate.Weight > 0) return draft;
            if (candidate.Weight > mostProbable.Weight) mostProbable = candidate;
        }
        return mostProbable.Token;
    }

    private int Draw(ReadOnlySpan<Candidate> candidates)
    {
        var rest = random.NextDouble() * Total(candidates);
        var drawn = candidates[0].Token;
        foreach (var candidate in candidates)
        {
            if (candidate.Weight == 0) continue;
            drawn = candidate.Token;
            rest -= candidate.Weight;
            if (rest < 0) break;
        }
        return drawn;
    }

    private static double Total(ReadOnlySpan<Candidate> candidates)
    {
        var total = 0.0;
        foreach (var candidate in candidates) total += candidate.Weight;
        return total;
    }

    // The k-th largest by Hoare's selection: the part that holds it is split around its middle until nothing is left to split.
    private float KthLargest(ReadOnlySpan<float> logits, int k)
    {
        logits.CopyTo(scratch);
        var part = scratch.AsSpan(0, logits.Length);
        while (part.Length > 1)
        {
            var pivot = part[part.Length / 2];
            var (left, right) = (0, part.Length - 1);
            while (left <= right)
            {
                while (part[left] > pivot) left++;
                while (part[right] < pivot) right--;
                if (left <= right) (part[left], part[right]) = (part[right--], part[left++]);
            }
            if (k <= right + 1)
            {
                part = part[..(right + 1)];
                continue;
            }
            if (k <= left) return pivot;
            part = part[left..];
            k -= left;
        }
        return part[0];
    }

    private static InputException NotNumbers() =>
        new("the model's logits are not finite numbers. Its weights are damaged, or its training diverged: take an earlier checkpoint.");

    /// <summary>
    /// A token that may be drawn. The heavier comes first, of equals the smaller id, so that the order is the same everywhere.
    /// </summary>
    private readonly record struct Candidate(double Weight, int Token) : IComparable<Candidate>
    {
        public int CompareTo(Candidate other) =>
            Weight != other.Weight ? other.Weight.CompareTo(Weight) : Token.CompareTo(other.Token);
    }
}
