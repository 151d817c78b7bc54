using System.IO.Hashing;
using System.Text.Json;
using Transformer.Configuration;
using Transformer.Generation.Constraints;
using Transformer.Inference;
using Transformer.Tokenization;

namespace Transformer.Generation;

/// <summary>What the continuation of a text depends on beside its tokens and the model's state.</summary>
internal sealed record SavedText
{
    /// <summary>How many of the last tokens were chosen since the last prompt.</summary>
    public required int Chosen { get; init; }

    /// <summary>How many of the first tokens the window begins with.</summary>
    public required int Head { get; init; }

    /// <summary>How many tokens the window has: those of the head and the last ones.</summary>
    public required int Window { get; init; }

    /// <summary>How many turns were dropped.</summary>
    public required int DroppedTurns { get; init; }

    /// <summary>What is kept of a text that is longer than the context; null where that was not said.</summary>
    public required ContextPolicy? Policy { get; init; }

    /// <summary>Where the random numbers are.</summary>
    public required ulong Random { get; init; }

    /// <summary>The text that is held back, since a stop string may begin with it.</summary>
    public required string Held { get; init; }

    /// <summary>Why the text ended.</summary>
    public required FinishReason Finished { get; init; }

    /// <summary>How tokens were chosen, without the constraint.</summary>
    public required SamplingOptions Options { get; init; }

    /// <summary>The regular expression or the JSON schema that the text must match, and which of them it is.</summary>
    public required TextConstraintSource? Constraint { get; init; }

    /// <summary>Writes a text and its state.</summary>
    /// <exception cref="InputException">The file cannot be written, or ranks share the model.</exception>
    public void Write(string path, InferenceModel model, SequenceState state, Tokenizer? tokenizer, int[] tokens)
    {
        model.RefuseUnsavable();
        var json = JsonSerializer.Serialize(this, SavedTextContext.Default.SavedText);
        StateFile.Write(path, model, state, HashOf(tokenizer), new(json, tokens));
    }

    /// <summary>Reads a text and its state.</summary>
    /// <exception cref="InputException">The file is damaged, or belongs to another model, backend or tokenizer.</exception>
    public static (SavedText Text, int[] Tokens, SequenceState State) Read(string path, InferenceModel model, Tokenizer? tokenizer)
    {
        model.RefuseUnsavable();
        var (state, found) = StateFile.Read(path, model, HashOf(tokenizer), mostRows: 1);
        try
        {
            if (found is null) throw new InputException($"{path}: holds a state without its text, expected one that generate saved.");
            var text = Parse(path, found.Json);
            if (text.Problem(found.Tokens, state, tokenizer?.VocabularySize ?? model.Config.VocabularySize!.Value) is { } problem)
                throw StateFile.Damaged(path, problem);
            return (text, found.Tokens, state);
        }
        catch
        {
            state.Dispose();
            throw;
        }
    }

    /// <summary>The text that is held back where no more of it follows.</summary>
    public string HeldBack(int[] tokens, Tokenizer? tokenizer)
    {
        if (tokenizer is null || Finished is FinishReason.EndOfText or FinishReason.StopString) return "";
        var chosen = tokens.Length - Chosen;
        var decoder = new StreamingDecoder(tokenizer, tokens[chosen - 1]);
        foreach (var token in tokens.AsSpan(chosen)) decoder.Append(token);
        return Held + decoder.Flush();
    }

    private static SavedText Parse(string path, string json)
    {
        try
        {
            if (JsonSerializer.Deserialize(json, SavedTextContext.Default.SavedText) is not { Options.Stop: not null, Held: not null } text)
                throw StateFile.Damaged(path, "it has no settings");
            return text with { Options = text.Options with { Constraint = text.Constraint?.ToConstraint() } };
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw StateFile.Damaged(path, JsonProblem.Of(e));
        }
    }

    private string? Problem(int[] tokens, SequenceState state, int vocabularySize) =>
        Array.Exists(tokens, token => (uint)token >= (uint)vocabularySize) ? "tokens outside the vocabulary"
        : Head < 0 || Head > Window || Window < 1 || Window > tokens.Length ? "a window that is not of its text"
        : Chosen < 0 || Chosen >= tokens.Length ? "more tokens chosen than there are"
        : state.Lengths[0] > Window ? "a state of more tokens than the window has"
        : Options.Stop.Any(stop => stop is null) ? "a stop string that is none"
        : null;

    private static string HashOf(Tokenizer? tokenizer)
    {
        if (tokenizer is null) return "none";
        var hash = new XxHash128();
        for (var token = 0; token < tokenizer.VocabularySize; token++)
        {
            var bytes = tokenizer.BytesOf(token);
            hash.Append(BitConverter.GetBytes(bytes.Length));
            hash.Append(bytes);
        }
        foreach (var token in tokenizer.StopTokens.Prepend(tokenizer.BeginOfText ?? -1)) hash.Append(BitConverter.GetBytes(token));
        return Convert.ToHexStringLower(hash.GetCurrentHash());
    }
}
