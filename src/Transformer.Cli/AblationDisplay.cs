using System.Diagnostics;
using Transformer.Comparison;

namespace Transformer.Cli;

/// <summary>Shows an ablation while it goes on, a line per run.</summary>
internal sealed class AblationDisplay(TextWriter error)
{
    private readonly Stopwatch watch = Stopwatch.StartNew();
    private int trained;

    /// <summary>Shows the designs and how they were made equal.</summary>
    public void Show(AblationPlan plan)
    {
        foreach (var (i, design) in plan.Designs.Index())
        {
            error.WriteLine($"{design.Name}: {Numbers.Count(plan.Costs[i].Parameters)} parameters, " +
                $"{Numbers.Count((long)plan.Costs[i].FlopsPerToken)} FLOPs per token{(i == 0 ? ", the reference" : "")}");
            foreach (var adjustment in design.Adjustments) error.WriteLine($"  {adjustment}");
            foreach (var unfair in plan.Unfair[i]) error.WriteLine($"  warning: {unfair}");
        }
        watch.Restart();
    }

    /// <summary>Shows an event.</summary>
    public void Show(AblationEvent happened)
    {
        switch (happened)
        {
            case AblationEvent.Began:
                trained++;
                break;
            case AblationEvent.Chosen { Choice: var choice }:
                error.WriteLine($"{choice.Design.Name}: best {choice.Sweep.Key} " +
                    (choice.Value is { } value ? Sweep.Text(value) : "unknown, every run failed"));
                break;
            case AblationEvent.Ended { Cell: var cell, Result: var result } ended:
                var left = trained == 0 ? TimeSpan.Zero : watch.Elapsed / trained * (ended.Runs - ended.Done);
                error.WriteLine($"{ended.Done} of {ended.Runs}  {cell.Name}: " + (result.Outcome is { } outcome
                    ? $"validation loss {outcome.ValidationLoss:f4}, accuracy {outcome.ValidationAccuracy:p1} in {outcome.Seconds:f0} s"
                    : result.Failure) + (ended.Done < ended.Runs ? $"  about {Numbers.Duration(left)} left" : ""));
                break;
        }
    }
}
