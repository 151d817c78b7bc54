using System.CommandLine;
using Transformer.Configuration;
using Transformer.Conversations;

namespace Transformer.Cli;

/// <summary><c>generate --memory</c>: puts turns of earlier conversations before the prompt.</summary>
internal static class GenerateMemory
{
    public static readonly Option<string?> Memory = new("--memory")
    {
        Description = "Put turns of this memory before the prompt: those that its words find, and the latest.",
        HelpName = "DB",
    };

    public static readonly Option<string?> Conversation = new("--memory-conversation")
    {
        Description = "The conversation whose latest turns stand before the prompt; default: the one that was added to last.",
        HelpName = "NAME",
    };

    public static readonly Option<int?> Budget = new Option<int?>("--memory-budget")
    {
        Description = "The most tokens of the prompt with its turns; default: half of the model's context.",
        HelpName = "N",
    }.Whole(1, int.MaxValue);

    /// <summary>The prompt behind the turns of the memory that the request names; the prompt itself where it names none.</summary>
    /// <param name="request">The request.</param>
    /// <param name="error">Where it is shown which turns are used.</param>
    /// <param name="models">What generates.</param>
    /// <param name="prompt">The prompt.</param>
    /// <returns>The prompt, and what JSON says of the memory: null where the request names none.</returns>
    /// <exception cref="InputException">The prompt alone is longer than the budget, or the memory cannot be read.</exception>
    public static (string Prompt, object? Memory) Compose(ParseResult request, TextWriter error, GenerationModels models, string prompt)
    {
        if (request.GetValue(Memory) is not { } path) return (prompt, null);
        var budget = request.GetValue(Budget) ?? Math.Max(1, models.Model.Config.ContextLength / 2);
        if (budget > models.ContextLength)
            throw new InputException(
                $"{Budget.Name}: found {budget}, expected at most the model's context of {models.ContextLength} tokens.");
        using var memory = ConversationMemory.Open(path);
        var conversation = request.GetValue(Conversation);
        if (conversation is not null && memory.Conversations().All(one => one.Name != conversation))
            error.WriteLine($"memory: there is no conversation {conversation} yet.");
        // The token that begins a text stands before the prompt.
        var begin = models.Tokenizer.BeginOfText is null ? 0 : 1;
        var composed = memory.Compose(prompt, budget - begin, text => models.Tokenizer.Encode(text).Length, conversation);
        Show(error, composed, begin, budget);
        return (composed.Text, new
        {
            Tokens = composed.Tokens + begin,
            Budget = budget,
            Found = Places(composed.Found),
            Latest = Places(composed.Latest),
            NoRoom = Places(composed.TooLong),
            Unreadable = Places(composed.Unreadable),
        });
    }

    private static void Show(TextWriter error, ComposedPrompt composed, int begin, int budget)
    {
        error.WriteLine($"memory: {composed.Tokens + begin} of {budget} tokens; found: {Names(composed.Found)}; " +
            $"latest: {Names(composed.Latest)}.");
        if (composed.TooLong.Count > 0) error.WriteLine($"memory: no room for {Names(composed.TooLong)}; raise {Budget.Name} for more.");
        if (composed.Unreadable.Count > 0)
            error.WriteLine($"memory: left out for characters that the tokenizer lacks: {Names(composed.Unreadable)}.");
    }

    private static IEnumerable<object> Places(IEnumerable<Turn> turns) => turns.Select(turn => new { turn.Conversation, turn.Number });

    // notes 3, notes 7 to 9
    private static string Names(IReadOnlyList<Turn> turns)
    {
        var runs = new List<(Turn First, long Last)>();
        foreach (var turn in turns.OrderBy(turn => turn.Id))
        {
            if (runs is [.., var run] && run.First.Conversation == turn.Conversation && run.Last + 1 == turn.Number)
                runs[^1] = (run.First, turn.Number);
            else runs.Add((turn, turn.Number));
        }
        return runs.Count == 0 ? "none" : string.Join(", ", runs.Select(
            run => run.First.Number == run.Last ? $"{run.First}" : $"{run.First} to {run.Last}"));
    }
}
