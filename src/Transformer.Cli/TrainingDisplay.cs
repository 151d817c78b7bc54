using Spectre.Console;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Evaluation;
using Transformer.Training;

namespace Transformer.Cli;

/// <summary>Shows a run while it goes on: a bar that is drawn over on a terminal, a line now and then elsewhere.</summary>
internal abstract class TrainingDisplay : IDisposable
{
    private ContentionWarning? others;
    private int steps;
    private bool isTask;    // whose rows a sample without a prompt has none of

    /// <summary>The display for a writer: a bar where it is the terminal's standard error.</summary>
    public static TrainingDisplay On(TextWriter error) =>
        error is StandardWriter { IsTerminal: true } ? new Bar(error) : new Lines(error);

    /// <summary>Says from time to time when other processes use the cores that a run of one process computes on.</summary>
    /// <param name="run">The run's folder.</param>
    /// <param name="threads">Its threads.</param>
    public void WatchContention(string run, int threads) => others = ContentionWarning.TryWatch(run, threads);

    /// <summary>Shows how many threads a run has chosen, where they are not all.</summary>
    public void Show(ThreadChoice choice)
    {
        if (choice.Threads < choice.Most)
            Line($"threads: {choice.Threads} of {choice.Most} ({1000 * choice.Seconds:f0} ms per pass with {choice.Threads}, " +
                $"{1000 * choice.MostSeconds:f0} ms with {choice.Most}); --threads {choice.Most} uses all");
    }

    /// <summary>Shows an event.</summary>
    public void Show(TrainingEvent happened)
    {
        switch (happened)
        {
            case TrainingEvent.Started started:
                (steps, isTask) = (started.Config.Training.Steps, started.Config.Data.Task is not null);
                Line(Header(started));
                foreach (var change in started.Changes) Line($"changed: {change}");
                break;
            case TrainingEvent.Stepped stepped:
                if (others?.Notice() is { } notice) Line($"warning: {notice}");
                Step(stepped.Metrics, TimeSpan.FromSeconds(stepped.SecondsLeft));
                break;
            case TrainingEvent.Rescaled rescaled:
                Line($"step {rescaled.Step,6}  {(rescaled.Skipped ? "overflowed in fp16 and was skipped; the" : "the")} gradient scale " +
                    $"is now {rescaled.Scale:n0}");
                break;
            case TrainingEvent.Evaluated evaluated:
                Line($"step {evaluated.Step,6}  validation loss {evaluated.Result.Loss:f4}, " +
                    $"accuracy {evaluated.Result.Accuracy:p1} ({(evaluated.IsFullPass ? "full pass" : "quick estimate")}, " +
                        $"{evaluated.Result.Tokens:n0} tokens){OfSorts(evaluated.Result)}");
                break;
            case TrainingEvent.Sampled sampled:
                Line($"step {sampled.Step,6}  sample:\n{sampled.Text.Trim()}\n");
                break;
            case TrainingEvent.Warned warned:
                Line($"warning: {warned.Message}");
                break;
            case TrainingEvent.Saved:
                break;
        }
    }

    /// <summary>Reports the outcome of the run.</summary>
    public void Finish(TrainingOutcome outcome) => Line(
        $"done: {outcome.Steps:n0} steps, {outcome.Tokens:n0} tokens in {outcome.Seconds:f0} s\n" +
        $"mean training loss of the last {Math.Min(outcome.Steps, TrainingOutcome.TrainLossSteps)} steps {outcome.TrainLoss:f4}, " +
        $"validation loss {outcome.ValidationLoss:f4}, accuracy {outcome.ValidationAccuracy:p1}\n" +
        (outcome.CoreSecondsPerToken is { } seconds ? $"processor time: {1e6 * seconds:g3} us per token, all cores together" +
            $"{(outcome.JoulesPerToken is { } joules ? $"; energy: {1e3 * joules:g3} mJ per token" : "")}\n" : "") +
        $"run: {outcome.Run}\n" + (isTask ? $"measure it: {ShellCommand.Of("evaluate", outcome.Run)}"
            : $"sample from it: {ShellCommand.Of(GenerateVerb.Name, outcome.Run)}"));

    /// <inheritdoc/>
    public virtual void Dispose() { }

    /// <summary>Shows a step's numbers.</summary>
    protected abstract void Step(Metrics metrics, TimeSpan left);

    /// <summary>Writes a line that stays.</summary>
    protected abstract void Line(string text);

    // What is most wanted first: a narrow terminal cuts the end.
    private string Progress(Metrics metrics, TimeSpan left) =>
        $"step {metrics.Step,6} of {steps}  {Numbers.Duration(left)} left  loss {metrics.TrainLoss?.ToString("f4") ?? "overflowed"}  " +
            $"{metrics.TokensPerSecond:n0} tokens/s  {metrics.Utilization:p0} of the matrix rate{others?.Now}";

    private static string Header(TrainingEvent.Started run)
    {
        var (model, training, here) = (run.Config.Model, run.Config.Training, run.Environment);
        var tokens = run.Data is Corpus corpus
            ? $", {Numbers.Count(corpus.Training.Length)} tokens and {Numbers.Count(corpus.Validation.Length)} to validate on" : "";
        var batch = $"{training.BatchSize * training.GradientAccumulation} x {model.ContextLength}";
        return $"model: {Numbers.Count(run.Parameters)} parameters, {model.Layers.Blocks} blocks of width {model.Width}, " +
            $"context {model.ContextLength}\n" +
            $"data: {ShortPath(run.Data.Name)}, vocabulary {run.Data.Tokenizer.VocabularySize:n0}{tokens}\n" +
            $"run: {Steps(run.Step, training.Steps)} of {batch} tokens, {here.Device}, " +
            $"{(here.Ranks == 1 ? "" : $"{here.Ranks} ranks of ")}{here.Threads} thread{(here.Threads == 1 ? "" : "s")}, in {run.Folder}";
    }

    private static string Steps(int done, int steps) => done == 0 ? $"{steps:n0} steps"
        : done < steps ? $"steps {done + 1:n0} to {steps:n0}" : $"all {steps:n0} steps done";

    // A path below the working directory as it is usually typed.
    private static string ShortPath(string name) =>
        Path.IsPathRooted(name) && Path.GetRelativePath(Environment.CurrentDirectory, name) is var below
            && !below.StartsWith("..", StringComparison.Ordinal) ? below : name;

    private sealed class Lines(TextWriter error) : TrainingDisplay
    {
        private DateTime next = DateTime.MinValue;

        protected override void Step(Metrics metrics, TimeSpan left)
        {
            if (DateTime.UtcNow < next) return;
            next = DateTime.UtcNow.AddSeconds(5);
            error.WriteLine(Progress(metrics, left));
        }

        protected override void Line(string text) => error.WriteLine(text);
    }

    private sealed class Bar(TextWriter error) : TrainingDisplay
    {
        private readonly AnsiConsoleOutput terminal = new(error);
        private DateTime next = DateTime.MinValue;
        private bool drawn;

        protected override void Step(Metrics metrics, TimeSpan left)
        {
            if (DateTime.UtcNow < next) return;
            next = DateTime.UtcNow.AddMilliseconds(200);
            var share = metrics.Seconds / (metrics.Seconds + left.TotalSeconds);
            var filled = (int)(20 * share);
            var text = $"{new string('█', filled)}{new string('░', 20 - filled)} {Progress(metrics, left)}";
            error.Write($"\r\u001b[2K{text[..Math.Min(text.Length, Math.Max(10, terminal.Width - 1))]}");
            drawn = true;
        }

        protected override void Line(string text)
        {
            if (drawn) error.Write("\r\u001b[2K");
            error.WriteLine(text);
        }

        public override void Dispose()
        {
            if (drawn) error.WriteLine();
            base.Dispose();
        }
    }

    private static string OfSorts(EvaluationResult result) => result.Rows is null ? ""
        : $"; rows right: {string.Join(", ", result.Rows.Select(sort => $"{sort.Key} {sort.Value:p1}"))}";
}
