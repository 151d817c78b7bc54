using Transformer.Configuration;
using Transformer.Inference;
using Transformer.Tokenization;

namespace Transformer.Generation;

// N beams · V vocabulary

/// <summary>
/// Looks for the most probable continuation rather than the most probable next token: of all continuations of N texts the N best are kept
/// in each step (beam search, as Hugging Face's <c>generate</c> has it). It is deterministic; of equals it takes the first.
/// </summary>
public sealed class BeamSearch
{
    /// <summary>The strongest length penalty, either way: beyond it a power of the length no longer fits a number.</summary>
    public const double StrongestLengthPenalty = 10;

    private readonly InferenceModel model;
    private readonly TextGenerator generator;
    private readonly Tokenizer? tokenizer;
    private readonly int vocabularySize;
    private readonly int[] ends;

    /// <param name="model">The model; it stays the caller's.</param>
    /// <param name="tokenizer">What the tokens mean; without one the results have tokens only, and no token ends a text.</param>
    public BeamSearch(InferenceModel model, Tokenizer? tokenizer = null)
    {
        (this.model, this.tokenizer, generator) = (model, tokenizer, new TextGenerator(model, tokenizer));
        vocabularySize = Math.Min(model.Config.VocabularySize!.Value, tokenizer?.VocabularySize ?? int.MaxValue);
        ends = [.. tokenizer?.StopTokens ?? []];
    }

    /// <summary>Continues a prompt.</summary>
    /// <param name="prompt">At least one token.</param>
    /// <param name="beams">N; with 1 it is greedy decoding.</param>
    /// <param name="maxTokens">The greatest number of tokens; prompt and tokens have to fit the context.</param>
    /// <param name="lengthPenalty">The power of its length by which a text's log-probability is divided: 0 prefers short texts, 1 takes the
    /// mean of a token.</param>
    /// <param name="cancellation">Ends the search after the current step, with the texts found so far.</param>
    /// <returns>The N best texts, the best first; fewer where there are no more.</returns>
    /// <exception cref="InputException">A number is wrong, or the prompt is empty, has a token outside the vocabulary or is too
    /// long.</exception>
    public IReadOnlyList<Hypothesis> Search(
        int[] prompt, int beams, int maxTokens, double lengthPenalty = 1, CancellationToken cancellation = default)
    {
        if (beams < 1) throw new InputException($"beams: found {beams}, expected 1 or more");
        if (!(Math.Abs(lengthPenalty) <= StrongestLengthPenalty))
            throw new InputException(
                $"length_penalty: found {lengthPenalty}, expected {-StrongestLengthPenalty} to {StrongestLengthPenalty}");
        generator.Check(prompt, SamplingOptions.Greedy with { MaxTokens = maxTokens });
        var room = model.MostTokens - prompt.Length + 1;
        if (maxTokens > room)
            throw new InputException(
                $"max_tokens: a prompt of {prompt.Length} tokens and {maxTokens} more do not fit " +
                $"the context length of {model.MostTokens}. Take {room} or fewer.");

        using var state = model.NewState(beams, prompt.Length + maxTokens - 1);
        model.Read(state, [0], [prompt.Length], prompt);
        var running = new List<Beam> { new([], 0, Row: 0) };
        var finished = new List<Hypothesis>();
        for (var length = 1; ; length++)
        {
            var candidates = Best(running, count: (1 + ends.Length) * beams);
            var next = new List<Beam>(beams);
            for (var rank = 0; rank < candidates.Length && next.Count < beams; rank++)
            {
                var (parent, token, logProbability) = candidates[rank];
                if (!ends.Contains(token)) next.Add(new([.. parent.Tokens, token], logProbability, parent.Row));
                else if (rank < beams)
                    finished.Add(Finish(prompt, parent.Tokens, logProbability, FinishReason.EndOfText, length, lengthPenalty));
            }
            finished = [.. finished.OrderByDescending(text => text.Score).Take(beams)];
            var stopped = cancellation.IsCancellationRequested;
            if (length == maxTokens || stopped)
            {
                var reason = stopped ? FinishReason.Cancelled : FinishReason.MaxTokens;
                finished.AddRange(next.Select(beam => Finish(prompt, beam.Tokens, beam.LogProbability, reason, length, lengthPenalty)));
                return [.. finished.OrderByDescending(text => text.Score).Take(beams)];
            }
            // Enough texts have ended, and no running one is better, at its present length, than the worst of them.
            if (next.Count == 0 || (finished.Count == beams && finished[^1].Score >= Score(next[0].LogProbability, length, lengthPenalty)))
                return finished;

            running = Assign(state, next);
            int[] rows = [.. running.Select(beam => beam.Row)], ones = [.. running.Select(_ => 1)];
            model.Read(state, rows, ones, [.. running.Select(beam => beam.Tokens[^1])]);
        }
    }

    // The most probable of all beams' continuations, in order.
    private Candidate[] Best(List<Beam> running, int count)
    {
        var best = new PriorityQueue<Candidate, (double, int)>(count + 1);
        for (var output = 0; output < running.Count; output++)
        {
            var logits = model.Logits(output)[..vocabularySize];
            var normaliser = LogSumExp(logits);
            for (var token = 0; token < vocabularySize; token++)
            {
                var candidate = new Candidate(running[output], token, running[output].LogProbability + logits[token] - normaliser);
                var priority = (candidate.LogProbability, -(output * vocabularySize + token));
                if (best.Count < count) best.Enqueue(candidate, priority);
                else if (best.TryPeek(out var worst, out _) && worst.LogProbability < candidate.LogProbability)
                    best.EnqueueDequeue(candidate, priority);
            }
        }
        var ordered = new Candidate[best.Count];
        for (var rank = ordered.Length - 1; rank >= 0; rank--) ordered[rank] = best.Dequeue();
        return ordered;
    }

    private static double LogSumExp(ReadOnlySpan<float> logits)
    {
        double largest = logits[TokenSampler.ArgMax(logits)];
        var sum = 0.0;
        foreach (var logit in logits) sum += Math.Exp(logit - largest);
        return largest + Math.Log(sum);
    }

    // The first child of a row stays in it; the others are copied to rows without children.
    private static List<Beam> Assign(SequenceState state, List<Beam> beams)
    {
        var free = new Queue<int>(Enumerable.Range(0, state.Lengths.Count).Except(beams.Select(beam => beam.Row)));
        var (taken, assigned) = (new HashSet<int>(), new List<Beam>(beams.Count));
        foreach (var beam in beams)
        {
            var row = taken.Add(beam.Row) ? beam.Row : free.Dequeue();
            state.Copy(from: beam.Row, to: row);
            assigned.Add(beam with { Row = row });
        }
        return assigned;
    }

    private Hypothesis Finish(int[] prompt, int[] tokens, double logProbability, FinishReason reason, int length, double lengthPenalty)
    {
        var text = "";
        if (tokenizer is not null)
        {
            var decoder = new StreamingDecoder(tokenizer, prompt[^1]);
            text = string.Concat(tokens.Select(decoder.Append)) + decoder.Flush();
        }
        return new(text, tokens, reason, logProbability, Score(logProbability, length, lengthPenalty));
    }

    private static double Score(double logProbability, int length, double lengthPenalty) =>
        logProbability / Math.Pow(length, lengthPenalty);

    private sealed record Beam(int[] Tokens, double LogProbability, int Row);

    private readonly record struct Candidate(Beam Parent, int Token, double LogProbability);
}
