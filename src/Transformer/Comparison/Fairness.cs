using Transformer.Runs;

namespace Transformer.Comparison;

/// <summary>Checks that two designs differ in what is compared, and in nothing else that decides a loss.</summary>
public static class Fairness
{
    private const string OtherAmount = "the designs are not trained on the same number of tokens";

    // What decides a loss whatever the design is, by the first key that a difference begins with.
    private static readonly (string Key, string Message, bool IsRefused)[] Rules =
    [
        ("data.path", "the designs learn from different texts", false),
        ("data.task", "the designs are measured on different rows", true),
        ("data.validation_path", "the designs are measured on different texts", true),
        ("data.validation_fraction", "the designs are measured on different parts of the text", true),
        ("data.sampling", "the designs see the text in different orders", false),
        ("data.tokenizer", "losses per token cannot be compared between tokenizers: bits per byte are", false),
        ("model.context_length", "the designs are measured in windows of different lengths, and steps have other numbers of tokens", false),
        ("training.seed", "seeds are the same for all designs; say how many with --seeds", true),
        ("training.steps", OtherAmount, false),
        ("training.batch_size", OtherAmount, false),
        ("training.gradient_accumulation", OtherAmount, false),
        ("training.stop_at_accuracy", OtherAmount, false),
        ("training.overfit_one_batch", "one of them learns one batch by heart", false),
        ("training.init_from", "the designs begin with different weights", false),
        ("training.precision", "the designs compute in different types", false),
        ("training.distributed", "the designs round differently", false),
        ("training.optimizer", "a rate that suits one optimizer need not suit another: sweep it (--sweep)", false),
        ("training.schedule", "a rate that suits one schedule need not suit another: sweep it (--sweep)", false),
    ];

    /// <summary>What makes the comparison of a design with the reference unfair.</summary>
    /// <param name="reference">The run of the reference, resolved.</param>
    /// <param name="other">The run of the design, resolved.</param>
    /// <param name="costs">What both take.</param>
    /// <param name="match">What was made equal.</param>
    /// <param name="isSwept">Whether each design has a learning rate of its own, found by a sweep.</param>
    public static IReadOnlyList<Unfairness> Between(
        RunConfig reference, RunConfig other, (DesignCost Reference, DesignCost Other) costs, MatchKind match, bool isSwept)
    {
        var found = ConfigDifference.Between(reference, other)
            .Where(difference => difference.Key is not "description")
            .Select(difference => Judge(difference.Key, reference, isSwept))
            .OfType<Unfairness>().DistinctBy(unfair => unfair.Message).ToList();
        // A quantity that is matched by another one differs for that reason.
        if (match is MatchKind.None or MatchKind.Parameters && IsOff(costs.Other.FlopsPerToken / costs.Reference.FlopsPerToken) is { } flops)
            found.Add(new("FLOPs", $"{flops} per token than the reference takes"));
        if (match is not MatchKind.Parameters && IsOff((double)costs.Other.Parameters / costs.Reference.Parameters) is { } parameters)
            found.Add(new("parameters", $"{parameters} than the reference has"));
        return found;
    }

    private static Unfairness? Judge(string key, RunConfig reference, bool isSwept)
    {
        var (about, message, isRefused) = Rules.FirstOrDefault(rule => IsWithin(key, rule.Key) || IsWithin(rule.Key, key));
        return about switch
        {
            null => null,
            "training.optimizer" or "training.schedule" when isSwept => null,
            // Without a text of its own to validate on, the end of each text is what a design is measured on.
            "data.path" when reference.Data.ValidationPath is null =>
                new(key, "the designs are measured on different texts", IsRefused: true),
            _ => new(key, message, isRefused),
        };
    }

    private static bool IsWithin(string key, string part) => key == part || key.StartsWith(part + ".", StringComparison.Ordinal);

    private static string? IsOff(double ratio) =>
        Math.Abs(ratio - 1) <= Matching.SizeTolerance ? null : $"{Math.Abs(ratio - 1):p1} {(ratio > 1 ? "more" : "fewer")}";
}
