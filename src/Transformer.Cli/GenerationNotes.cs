using Transformer.Generation;

namespace Transformer.Cli;

/// <summary>What is said behind generated texts: what they lost.</summary>
internal static class GenerationNotes
{
    /// <summary>Reports how many samples of a constraint may not be whole.</summary>
    /// <param name="error">Where notes go.</param>
    /// <param name="samples">All samples.</param>
    /// <param name="most">What a sample has at most.</param>
    /// <param name="advice">What to do.</param>
    public static void Cut(
        TextWriter error, IReadOnlyList<GeneratedText> samples, string most,
        string advice = "raise --max-tokens where the text is not whole")
    {
        if (samples.Count(sample => sample.FinishReason == FinishReason.MaxTokens) is > 0 and var cut)
            error.WriteLine($"{cut} of {samples.Count} samples reached {most} before the constraint ended them; {advice}.");
    }

    /// <summary>Reports what samples lost: what the context had no room for, and an end that their constraint lacks.</summary>
    /// <param name="error">Where notes go.</param>
    /// <param name="samples">All samples.</param>
    /// <param name="options">How their tokens were chosen.</param>
    /// <param name="context">The most tokens that the model sees.</param>
    /// <param name="isSaved">Whether they can go on.</param>
    public static void End(
        TextWriter error, IReadOnlyList<GeneratedText> samples, SamplingOptions options, int context, bool isSaved = false)
    {
        FullContext(error, samples, context);
        if (options.Constraint is null) return;
        if (isSaved) Cut(error, samples, $"{options.MaxTokens} tokens", "the constraint goes on with --state");
        else Cut(error, samples, $"{options.MaxTokens} tokens");
    }

    /// <summary>Reports what was dropped of samples that outgrew the context, and which it ended.</summary>
    /// <param name="error">Where notes go.</param>
    /// <param name="samples">All samples.</param>
    /// <param name="context">The most tokens that the model sees.</param>
    public static void FullContext(TextWriter error, IReadOnlyList<GeneratedText> samples, int context)
    {
        DroppedContext[] dropped = [.. samples.Select(sample => sample.Dropped).OfType<DroppedContext>()];
        var ended = samples.Count(sample => sample.FinishReason == FinishReason.ContextFull);
        if (dropped.Length == 0 && ended == 0) return;
        var of = samples.Count == 1 ? "" : $" of {dropped.Length} of {samples.Count} samples";
        var turns = dropped.Sum(one => one.Turns) is > 0 and var some ? $" in {Number(some, "turn")}" : "";
        var lost = dropped.Length == 0 ? "nothing was dropped"
            : $"{ScriptJson.Name(dropped[0].Policy)} dropped {Number(dropped.Sum(one => (long)one.Tokens), "token")}{turns}{of}";
        var ends = ended == 0 ? ""
            : samples.Count == 1 ? ", and the text ends there"
            : $", and {ended} of {samples.Count} samples end there";
        error.WriteLine($"The context of {context} tokens is full: {lost}{ends}.");
    }

    private static string Number(long count, string of) => count == 1 ? $"1 {of}" : $"{count} {of}s";
}
