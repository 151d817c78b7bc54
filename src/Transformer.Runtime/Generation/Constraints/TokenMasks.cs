using System.Globalization;
using Transformer.Configuration;

namespace Transformer.Generation.Constraints;

/// <summary>
/// A constraint over a vocabulary: for each state the tokens that may follow, computed when the state is first reached.
/// </summary>
/// <param name="constraint">What a text must match.</param>
/// <param name="vocabulary">The tokens to choose from.</param>
internal sealed class TokenMasks(TextConstraint constraint, TokenVocabulary vocabulary)
{
    private const int MostNamed = 8, BytesOfMask = 100;

    private readonly Automaton automaton = constraint.ToAutomaton();
    private readonly Dictionary<(AutomatonState State, bool AtBeginning), TokenMask> masks = [];

    /// <summary>The state of a text without tokens.</summary>
    public AutomatonState Start => automaton.Start;

    /// <summary>The tokens that may follow.</summary>
    /// <param name="state">The text's state.</param>
    /// <param name="previous">The token before.</param>
    /// <exception cref="InputException">No token may follow, and the text is not complete; or the constraint has too many
    /// states.</exception>
    public TokenMask Of(AutomatonState state, int previous)
    {
        var atBeginning = vocabulary.Begins(previous);
        if (masks.TryGetValue((state, atBeginning), out var known)) return known;
        automaton.Spend(BytesOfMask + vocabulary.Size / 8);
        var mask = new TokenMask(vocabulary.Size);
        vocabulary.Trie(atBeginning).Visit(automaton, state, mask.AddText);
        if (state.Accepts) foreach (var end in vocabulary.Ends) mask.Add(end);
        else if (!mask.AllowsText) throw DeadEnd(state);
        return masks[(state, atBeginning)] = mask;
    }

    /// <summary>The state after one more token, which the mask allows.</summary>
    public AutomatonState After(AutomatonState state, int token, int previous) => vocabulary.Ends.Contains(token)
        ? state
        : automaton.Next(state, vocabulary.BytesOf(token, previous))
        ?? throw new ArgumentException($"token {token} cannot follow", nameof(token));

    private InputException DeadEnd(AutomatonState state)
    {
        var expected = new List<(int First, int Last)>();
        for (var value = 0; value < 256; value++)
        {
            if (automaton.Next(state, (byte)value) is null) continue;
            if (expected is [.., var before] && before.Last == value - 1) expected[^1] = (before.First, value);
            else expected.Add((value, value));
        }
        var named = expected.Take(MostNamed)
            .Select(range => range.First == range.Last ? Name(range.First) : $"{Name(range.First)} to {Name(range.Last)}");
        return new($"the constraint requires {string.Join(", ", named)}{(expected.Count > MostNamed ? " or others" : "")} next, " +
            $"and none of the tokenizer's {vocabulary.Size} tokens continues with it. " +
            "Take a constraint that its tokens can spell.");
    }

    private static string Name(int value) => value switch
    {
        ' ' => "a space",
        > ' ' and < 0x7F => $"'{(char)value}'",
        _ => string.Create(CultureInfo.InvariantCulture, $"the byte 0x{value:X2}"),
    };
}
