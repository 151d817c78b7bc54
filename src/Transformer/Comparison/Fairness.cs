using Transformer.Runs;

namespace Transformer.Comparison;

/// <summary>Checks that two designs differ in what is compared, and in nothing else that decides a loss.</summary>
public static class Fairness
{
    private const string Tokens = "tokens", Rate = "rate", OtherTexts = "the designs are measured on different texts";

    // What decides a loss whatever the design is. Where the message is a word, it depends on more than the key.
    private static readonly (string Key, string Message, bool IsRefused)[] Rules =
    [
        ("data.path", "the designs learn from different texts", false),
        ("data.task.training_rows", "the designs learn from different numbers of rows", false),
        ("data.task", "the designs are measured on different rows", true),
        ("data.validation_path", OtherTexts, true),
        ("data.validation_fraction", "the designs are measured on different parts of the text", true),
        ("data.sampling", "the designs see the text in different orders", false),
        ("data.tokenizer", "losses per token cannot be compared between tokenizers; bits per byte can", false),
        ("model.context_length", "the designs are measured in windows of different lengths, and steps have other numbers of tokens", false),
        ("training.seed", "seeds are the same for all designs; say how many with --seeds", true),
        ("training.steps", Tokens, false),
        ("training.batch_size", Tokens, false),
        ("training.gradient_accumulation", Tokens, false),
        ("training.stop_at_accuracy", "a design may end before the others", false),
        ("training.overfit_one_batch", "one of them learns one batch by heart", false),
        ("training.init_from", "the designs begin with different weights", false),
        ("training.precision", "the designs compute in different types", false),
        ("training.distributed", "the designs round differently", false),
        ("training.parameters", Rate, false),
        ("training.optimizer", Rate, false),
        ("training.schedule", Rate, false),
    ];

    /// <summary>What makes the comparison of a design with the reference unfair, one entry per key.</summary>
    /// <param name="reference">The run of the reference, resolved, and what it takes.</param>
    /// <param name="other">The same of the design.</param>
    /// <param name="request">What was made equal, swept and looked for.</param>
    /// <param name="measure">What is compared.</param>
    public static IReadOnlyList<Unfairness> Between(
        (RunConfig Run, DesignCost Cost) reference, (RunConfig Run, DesignCost Cost) other, AblationRequest request, Measure measure)
    {
        var found = ConfigDifference.Between(reference.Run, other.Run).Select(difference => Judge(difference.Key)).OfType<Unfairness>();
        // Sizes are what the other modes look at.
        if (request.Mode != AblationMode.Compare) return [.. found.Where(unfair => !AblationRequest.SizeKeys.Contains(unfair.Key))];
        // What was made equal is no difference; the time is equal where neither of the two need be.
        return
        [
            .. found,
            .. request.Match == MatchKind.Flops ? []
                : Off("FLOPs", "per token than the reference takes", other.Cost.FlopsPerToken / reference.Cost.FlopsPerToken),
            .. request.Match == MatchKind.Parameters ? []
                : Off("parameters", "than the reference has", (double)other.Cost.Parameters / reference.Cost.Parameters),
        ];

        Unfairness? Judge(string key)
        {
            var (about, message, isRefused) = Rules.FirstOrDefault(rule => IsWithin(key, rule.Key) || IsWithin(rule.Key, key));
            return (about, message) switch
            {
                (null, _) => null,
                (_, Rate) when request.Sweep?.IsOfRate is true => null,
                (_, Rate) => new(key, "a learning rate that suits one design need not suit the other: sweep it (--sweep)"),
                (_, Tokens) => new(key, other.Cost.TokensOf(other.Run) == reference.Cost.TokensOf(reference.Run)
                    ? "the designs take other steps, if on as many tokens" : "the designs are not trained on the same number of tokens"),
                ("data.tokenizer", _) when measure == Measure.BitsPerByte => null,
                // Without a text of its own to validate on, the end of each text is what a design is measured on.
                ("data.path", _) when reference.Run.Data.ValidationPath is null => new(key, OtherTexts, IsRefused: true),
                _ => new(key, message, isRefused),
            };
        }
    }

    private static bool IsWithin(string key, string part) => key == part || key.StartsWith(part + ".", StringComparison.Ordinal);

    private static IEnumerable<Unfairness> Off(string quantity, string than, double ratio) => Math.Abs(ratio - 1) <= Matching.SizeTolerance
        ? [] : [new(quantity, $"{Math.Abs(ratio - 1):p1} {(ratio > 1 ? "more" : "fewer")} {than}")];
}
