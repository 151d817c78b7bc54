using Spectre.Console;
using Transformer.Training;

namespace Transformer.Cli;

/// <summary>Shows a run while it goes on: a bar that is drawn over on a terminal, a line now and then elsewhere.</summary>
internal abstract class TrainingDisplay : IDisposable
{
    private OtherWork? others;

    /// <summary>The display for a writer: a bar where it is the terminal's standard error.</summary>
    public static TrainingDisplay On(TextWriter error) =>
        ReferenceEquals(error, Console.Error) && !Console.IsErrorRedirected ? new Bar() : new Lines(error);

    /// <summary>Says from time to time when other work holds the cores that a run of one process computes on.</summary>
    /// <param name="run">The run's folder.</param>
    /// <param name="threads">Its threads.</param>
    public void WatchOthers(string run, int threads) => others = OtherWork.TryWatch(run, threads);

    /// <summary>Shows how many threads a run has chosen, where they are not all.</summary>
    public void Show(ThreadChoice choice)
    {
        if (choice.Threads < choice.Most)
            Line($"threads: {choice.Threads} of {choice.Most}, since more are slower at the moment: " +
                $"{1000 * choice.MostSeconds:f0} ms per pass with {choice.Most}, {1000 * choice.Seconds:f0} ms with {choice.Threads}; " +
                $"--threads {choice.Most} takes all");
    }

    /// <summary>Shows an event.</summary>
    public void Show(TrainingEvent happened)
    {
        switch (happened)
        {
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
                        $"{evaluated.Result.Tokens:n0} tokens)");
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
        $"done: {outcome.Steps:n0} steps, {outcome.Tokens:n0} tokens in {outcome.Seconds:f0} s; training loss {outcome.TrainLoss:f4}, " +
        $"validation loss {outcome.ValidationLoss:f4}, accuracy {outcome.ValidationAccuracy:p1}\n" +
        (outcome.CoreSecondsPerToken is { } seconds ? $"processor time: {1e6 * seconds:g3} us per token, all cores together" +
            $"{(outcome.JoulesPerToken is { } joules ? $"; energy: {1e3 * joules:g3} mJ per token" : "")}\n" : "") +
        $"run: {outcome.Run}\nsample from it: generate {outcome.Run} --prompt \"...\"");

    /// <inheritdoc/>
    public virtual void Dispose() { }

    /// <summary>Shows a step's numbers.</summary>
    protected abstract void Step(Metrics metrics, TimeSpan left);

    /// <summary>Writes a line that stays.</summary>
    protected abstract void Line(string text);

    private string Numbers(Metrics metrics, TimeSpan left) =>
        $"loss {metrics.TrainLoss?.ToString("f4") ?? "overflowed"}  {metrics.TokensPerSecond:n0} tokens/s  {metrics.Utilization:p0} of " +
            $"the matrix rate  {left:h\\:mm\\:ss} left{others?.Now}";

    private sealed class Lines(TextWriter error) : TrainingDisplay
    {
        private DateTime next = DateTime.MinValue;

        protected override void Step(Metrics metrics, TimeSpan left)
        {
            if (DateTime.UtcNow < next) return;
            next = DateTime.UtcNow.AddSeconds(5);
            error.WriteLine($"step {metrics.Step,6}  {Numbers(metrics, left)}");
        }

        protected override void Line(string text) => error.WriteLine(text);
    }

    private sealed class Bar : TrainingDisplay
    {
        private readonly IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        private DateTime next = DateTime.MinValue;
        private bool drawn;

        protected override void Step(Metrics metrics, TimeSpan left)
        {
            if (DateTime.UtcNow < next) return;
            next = DateTime.UtcNow.AddMilliseconds(200);
            var share = metrics.Seconds / (metrics.Seconds + left.TotalSeconds);
            var filled = (int)(20 * share);
            var text = $"{new string('█', filled)}{new string('░', 20 - filled)} step {metrics.Step}  {Numbers(metrics, left)}";
            Console.Error.Write($"\r\u001b[2K{text[..Math.Min(text.Length, Math.Max(10, console.Profile.Width - 1))]}");
            drawn = true;
        }

        protected override void Line(string text)
        {
            if (drawn) Console.Error.Write("\r\u001b[2K");
            console.WriteLine(text);
        }

        public override void Dispose()
        {
            if (drawn) Console.Error.WriteLine();
            base.Dispose();
        }
    }
}
