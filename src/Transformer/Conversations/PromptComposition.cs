using System.Text;
using Transformer.Configuration;

namespace Transformer.Conversations;

/// <summary>Chooses turns for a prompt: the best one that was found, the latest, the second best, the one before the latest, ...</summary>
internal sealed class PromptComposition(string question, int budget, Func<string, int> count)
{
    private enum Outcome
    {
        Chosen,
        TooLong,
        Unreadable,
    }

    private readonly List<Turn> chosen = [], tooLong = [], unreadable = [];
    private readonly Dictionary<long, Outcome> outcomes = [];
    private readonly HashSet<long> latestIds = [];
    private long estimate;

    /// <summary>Composes the prompt.</summary>
    /// <param name="found">The turns that were found, the best first.</param>
    /// <param name="latest">The turns of the conversation, the latest first; as many are read as are used.</param>
    /// <exception cref="InputException">The question alone has more tokens than the budget.</exception>
    public ComposedPrompt Compose(IEnumerable<Turn> found, IEnumerable<Turn> latest)
    {
        estimate = count(question);
        if (estimate > budget)
            throw new InputException($"the question alone has {estimate:n0} tokens, and the budget is {budget:n0}. " +
                "Shorten it, or raise the budget.");
        using var best = found.GetEnumerator();
        using var last = latest.GetEnumerator();
        var (moreFound, moreLatest) = (true, true);
        while (moreFound || moreLatest)
        {
            if (moreFound && (moreFound = best.MoveNext())) Offer(best.Current, isLatest: false);
            // The latest turns are shown without a gap, but for those that are unreadable.
            if (moreLatest) moreLatest = last.MoveNext() && Offer(last.Current, isLatest: true);
        }
        return Fit();
    }

    // Whether the turns before it may follow.
    private bool Offer(Turn turn, bool isLatest)
    {
        if (!outcomes.TryGetValue(turn.Id, out var outcome)) outcomes.Add(turn.Id, outcome = Choose(turn));
        if (isLatest && outcome == Outcome.Chosen) latestIds.Add(turn.Id);
        return outcome != Outcome.TooLong;
    }

    private Outcome Choose(Turn turn)
    {
        int tokens;
        try
        {
            tokens = count($"{turn.Line}\n");
        }
        catch (InputException)
        {
            unreadable.Add(turn);
            return Outcome.Unreadable;
        }
        if (estimate + tokens > budget)
        {
            tooLong.Add(turn);
            return Outcome.TooLong;
        }
        estimate += tokens;
        chosen.Add(turn);
        return Outcome.Chosen;
    }

    // A tokenizer may need more tokens for a whole than for its parts; then the turns that were chosen last are left out.
    private ComposedPrompt Fit()
    {
        while (true)
        {
            var inOrder = chosen.OrderBy(turn => turn.Id).ToLookup(turn => latestIds.Contains(turn.Id));
            Turn[] found = [.. inOrder[false]], latest = [.. inOrder[true]];
            var text = new StringBuilder();
            foreach (var turn in (Turn[])[.. found, .. latest]) text.Append(turn.Line).Append('\n');
            var whole = text.Append(question).ToString();
            var tokens = count(whole);
            if (tokens <= budget) return new(whole, tokens, found, latest, tooLong, unreadable);
            tooLong.Add(chosen[^1]);
            chosen.RemoveAt(chosen.Count - 1);
        }
    }
}
