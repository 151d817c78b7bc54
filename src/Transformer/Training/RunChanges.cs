using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Training;

/// <summary>What a run that is resumed may change: its length, what is measured and kept on the way, and where its data lie.</summary>
internal static class RunChanges
{
    private static readonly string[] Changeable =
    [
        "training.steps", "training.evaluate_every", "training.evaluate_batches", "training.checkpoint_every",
        "training.keep_checkpoints", "training.sample_every", "training.sample_tokens", "data.path", "data.validation_path",
        "data.tokenizer.vocabulary", "data.tokenizer.merges",
    ];

    /// <summary>The differences, one line each.</summary>
    /// <param name="run">The run's folder, for messages.</param>
    /// <param name="before">The run as it was.</param>
    /// <param name="now">The run with what is to change.</param>
    /// <exception cref="InputException">A key differs that may not.</exception>
    public static IReadOnlyList<string> Between(string run, RunConfig before, RunConfig now)
    {
        var changes = ConfigDifference.Between(before, now).ToList();
        string[] refused = [.. changes.Select(change => change.Key).Except(Changeable)];
        if (refused.Length > 0)
        {
            // Weights of another model, or for other tokens, would not fit.
            var keepsWeights = !refused.Any(key => key.StartsWith("model.", StringComparison.Ordinal) ||
                key.StartsWith("data.tokenizer", StringComparison.Ordinal));
            throw new InputException(
                $"--resume cannot change {string.Join(", ", refused)}; it can change {string.Join(", ", Changeable)}.\n" +
                $"  Begin another run{(keepsWeights ? " with its weights" : "")}: " +
                ShellCommand.Of([
                    "train", Path.Combine(run, RunFolder.ConfigName), .. keepsWeights ? ["--init-from", run] : (string[])[],
                    .. changes.SelectMany(change => (string[])["--set", $"{change.Key}={Given(change.Second)}"])]));
        }
        return [.. changes.Select(change => $"{change.Key}: {change.First} before, {change.Second} now")];
    }

    /// <summary>What another number of steps means for the learning rate after so many of them; null where it is the same.</summary>
    public static string? OfSchedule(RunConfig before, RunConfig now, int step)
    {
        var (earlier, later) = (RateOf(before), RateOf(now));
        return before.Training.Steps == now.Training.Steps || earlier == later ? null
            : $"the schedule now spans {now.Training.Steps:n0} steps: the learning rate continues at {later:g3} instead of {earlier:g3}";

        double RateOf(RunConfig run) =>
            run.Training.Optimizer.LearningRate * LearningRate.At(run.Training.Schedule, step, run.Training.Steps);
    }

    private static string Given(string value) => value == ConfigDifference.None ? "null" : value;
}
