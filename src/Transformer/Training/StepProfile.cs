using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using Transformer.Distributed;
using Transformer.Files;
using Transformer.Model;

namespace Transformer.Training;

/// <summary>
/// A profile of training steps: nested spans, each with its self time. Only the training thread may measure. On a GPU these are the times
/// of queueing work, not of doing it.
/// </summary>
public sealed partial class StepProfile
{
    private readonly Stopwatch watch = Stopwatch.StartNew();
    private readonly Stack<Span> open = [];
    private readonly List<Span> closed = [];
    private readonly List<Span> beside = [];
    private int stepsSeen;

    /// <summary>The number of steps before the first is measured: the first ones compile kernels and fill the allocator.</summary>
    public const int WarmUp = 5;

    /// <summary>How many steps are measured.</summary>
    public const int Steps = 10;

    /// <summary>The self time of one part of a step.</summary>
    /// <param name="Part">A module of the model, with a star for the number of its block, or a part of the step.</param>
    /// <param name="ForwardSeconds">The mean per step; parts without a backward pass are counted here.</param>
    /// <param name="BackwardSeconds">The mean per step.</param>
    /// <param name="Share">The share of the whole step.</param>
    public sealed record Line(string Part, double ForwardSeconds, double BackwardSeconds, double Share);

    /// <summary>Whether the step that begins now is to be measured.</summary>
    public bool BeginsStep() => ++stepsSeen is > WarmUp and <= WarmUp + Steps;

    /// <summary>How many steps were measured.</summary>
    public int Measured => Math.Clamp(stepsSeen - WarmUp, 0, Steps);

    /// <summary>Measures a part of the step until the result is disposed.</summary>
    public IDisposable Measure(string part)
    {
        Begin(part, isBackward: false);
        return new Closing(this);
    }

    /// <summary>Measures the modules of a model, forward and backward, until the result is disposed.</summary>
    public IDisposable Measure(TransformerModel model) => new ModuleWatch(model, new(Begin, End));

    /// <summary>
    /// Measures work that runs beside the training thread, until it is done. It appears in the trace, in a row of its own, but not in the
    /// table.
    /// </summary>
    internal void Beside(string part, Task work)
    {
        var start = watch.Elapsed.TotalSeconds;
        work.ContinueWith(
            _ =>
            {
                lock (beside) beside.Add(new(part, IsBackward: true, Depth: 0, start) { Seconds = watch.Elapsed.TotalSeconds - start });
            },
            CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    /// <summary>The parts, longest first; the shares add up to one.</summary>
    public IReadOnlyList<Line> Lines()
    {
        var whole = closed.Where(span => span.Depth == 0).Sum(span => span.Seconds);
        return
        [
            .. closed.GroupBy(span => BlockNumber().Replace(span.Part, ".*")).Select(part =>
            {
                double Own(bool isBackward) =>
                    part.Where(span => span.IsBackward == isBackward).Sum(span => span.Seconds - span.InnerSeconds);
                return new Line(part.Key, Own(false) / Measured, Own(true) / Measured, (Own(false) + Own(true)) / whole);
            }).OrderByDescending(line => line.Share),
        ];
    }

    /// <summary>Writes the spans as a Chrome trace, to be opened in Perfetto (ui.perfetto.dev) or chrome://tracing.</summary>
    public void WriteTrace(string path) => DurableFile.Write(path, stream =>
    {
        using var json = new Utf8JsonWriter(stream);
        json.WriteStartObject();
        json.WriteStartArray("traceEvents");
        lock (beside)
        {
            foreach (var span in closed.OrderBy(span => span.Start)) Write(span, row: 0);
            foreach (var span in beside.OrderBy(span => span.Start)) Write(span, row: 1);
        }
        json.WriteEndArray();
        json.WriteEndObject();

        void Write(Span span, int row)
        {
            json.WriteStartObject();
            json.WriteString("name", span.Part);
            json.WriteString("cat", span.IsBackward ? "backward" : "forward");
            json.WriteString("ph", "X");
            json.WriteNumber("ts", 1e6 * span.Start);
            json.WriteNumber("dur", 1e6 * span.Seconds);
            json.WriteNumber("pid", 0);
            json.WriteNumber("tid", row);
            json.WriteEndObject();
        }
    });

    private void Begin(string part, bool isBackward) => open.Push(new(part, isBackward, open.Count, watch.Elapsed.TotalSeconds));

    private void End()
    {
        var span = open.Pop();
        span.Seconds = watch.Elapsed.TotalSeconds - span.Start;
        if (open.TryPeek(out var outer)) outer.InnerSeconds += span.Seconds;
        closed.Add(span);
    }

    [GeneratedRegex(@"\.\d+")]
    private static partial Regex BlockNumber();

    private sealed record Span(string Part, bool IsBackward, int Depth, double Start)
    {
        public double Seconds { get; set; }

        public double InnerSeconds { get; set; }
    }

    private sealed class Closing(StepProfile profile) : IDisposable
    {
        public void Dispose() => profile.End();
    }
}
