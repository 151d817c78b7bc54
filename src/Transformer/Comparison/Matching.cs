using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Comparison;

/// <summary>
/// Makes a design as large as the reference: first by the hidden width of its MLP, then by the width of the model with the hidden width
/// beside it. What the user varies is never adjusted.
/// </summary>
/// <param name="kind">What is made equal.</param>
/// <param name="variedKeys">The keys that the user varies.</param>
/// <param name="stepTime">The time of the second run's steps over that of the first; needed for <see cref="MatchKind.Time"/>.</param>
internal sealed class Matching(
    MatchKind kind, IReadOnlyCollection<string> variedKeys, Func<RunConfig, RunConfig, double>? stepTime = null)
{
    /// <summary>How far sizes may be apart.</summary>
    public const double SizeTolerance = 0.01;

    /// <summary>How far measured times may be apart.</summary>
    public const double TimeTolerance = 0.05;

    private const int Measurements = 8, MostWidths = 2;
    // Of the width: an MLP that is narrower or wider is no longer the design that was asked for, and the width is changed instead.
    private const double LeastHidden = 0.5, MostHidden = 16;

    /// <summary>The design, adjusted.</summary>
    /// <param name="design">The design, resolved.</param>
    /// <param name="reference">The run that it is made equal to, resolved.</param>
    /// <param name="data">Opens the data of both.</param>
    /// <exception cref="InputException">Nothing that may be adjusted makes them equal.</exception>
    public Design Match(Design design, RunConfig reference, DataSets data)
    {
        if (kind == MatchKind.None || design.Config == reference) return design;
        var (found, ratio) = kind == MatchKind.Time ? ByTime(design, reference, data) : BySize(design, Ratio(reference, data));
        var tolerance = kind == MatchKind.Time ? TimeTolerance : SizeTolerance;
        if (!(Math.Abs(ratio - 1) <= tolerance))
        {
            throw new InputException($"{design.Name}: its {Word} cannot be made equal to the reference's within {tolerance:p0} " +
                $"(nearest: {Percent(ratio)}) by {Adjustable(design)}. Take --match none, which reports the difference, or vary " +
                "something else.");
        }
        return found == design.Config && ratio == 1 ? design
            : design with { Config = found, Adjustments = [.. design.Adjustments, How(design.Config.Model, found.Model, ratio)] };
    }

    private string Word => kind switch { MatchKind.Parameters => "parameters", MatchKind.Flops => "FLOPs", _ => "time" };

    private bool MayChangeWidth => !variedKeys.Any(key => key is "model" or "model.width" or "model.preset");

    // A varied MLP has a hidden width of its own only where it says so.
    private bool MayChangeHidden(Design design) => !variedKeys.Any(key => key is "model" or "model.mlp.hidden" or "model.mlp.expert.hidden")
        && !design.Settings.Any(setting => setting.StartsWith("model.mlp", StringComparison.Ordinal) && setting.Contains("hidden"))
        && design.Config.Model.Mlp is not NoMlpConfig;

    private string Adjustable(Design design) => (MayChangeHidden(design), MayChangeWidth) switch
    {
        (true, true) => "the hidden width of its MLP and its width",
        (true, false) => "the hidden width of its MLP",
        (false, true) => "its width",
        _ => "anything that is not varied",
    };

    private string How(ModelConfig before, ModelConfig after, double ratio)
    {
        List<string> changes = [];
        if (before.Width != after.Width) changes.Add($"width {before.Width} -> {after.Width}");
        if (before.Mlp.HiddenAt(before.Width) is var old && after.Mlp.HiddenAt(after.Width) is var now && old != now)
            changes.Add($"MLP's hidden width {old} -> {now}");
        return $"{(changes.Count == 0 ? "" : $"{string.Join(", ", changes)}: ")}{Word} {Percent(ratio)}";
    }

    private static string Percent(double ratio) =>
        $"{Math.Abs(100 * (ratio - 1)):0.00} % {(ratio < 1 ? "below" : "above")} the reference's";

    // What a run takes over what the reference takes.
    private Func<RunConfig, double> Ratio(RunConfig reference, DataSets data)
    {
        var goal = Taken(reference);
        return run => Taken(run) / goal;

        double Taken(RunConfig run) =>
            DesignCost.Of(run, data.Of(run)) is var cost && kind == MatchKind.Parameters ? cost.Parameters : cost.FlopsPerToken;
    }

    // Sizes are linear in the hidden width, so that the straight line through two points gives it.
    private (RunConfig Run, double Ratio) BySize(Design design, Func<RunConfig, double> ratio)
    {
        var best = (Run: design.Config, Ratio: ratio(design.Config));
        var hasHidden = MayChangeHidden(design);
        foreach (var candidate in Widths(design.Config).SelectMany(wide => hasHidden ? Hidden(wide, ratio) : [wide]))
        {
            if (Math.Abs(best.Ratio - 1) <= SizeTolerance) break;
            if (ratio(candidate) is var taken && Math.Abs(taken - 1) < Math.Abs(best.Ratio - 1)) best = (candidate, taken);
        }
        return best;
    }

    // The run itself and, where its width may change, runs of the next widths that its heads divide, the nearest first.
    private IEnumerable<RunConfig> Widths(RunConfig run)
    {
        yield return run;
        if (!MayChangeWidth) yield break;
        for (var step = 1; step <= MostWidths * run.Model.Width; step++)
            foreach (var width in (int[])[run.Model.Width + step, run.Model.Width - step])
                if (width > 0 && run with { Model = run.Model with { Width = width } } is var other && IsRight(other)) yield return other;
    }

    private static IEnumerable<RunConfig> Hidden(RunConfig run, Func<RunConfig, double> ratio)
    {
        var hidden = run.Model.Mlp.HiddenAt(run.Model.Width);
        var (here, next) = (ratio(WithHidden(run, hidden)), ratio(WithHidden(run, hidden + 1)));
        var goal = (int)Math.Round(hidden + (1 - here) / (next - here));
        return Rounded(goal).Where(choice => choice >= LeastHidden * run.Model.Width && choice <= MostHidden * run.Model.Width)
            .Select(choice => WithHidden(run, choice)).Where(IsRight);
    }

    // A round number where one is near enough.
    private static int[] Rounded(int hidden) => [(hidden + 16) / 32 * 32, (hidden + 4) / 8 * 8, hidden];

    private static RunConfig WithHidden(RunConfig run, int hidden) =>
        run with { Model = run.Model with { Mlp = run.Model.Mlp.WithHidden(hidden) } };

    private static bool IsRight(RunConfig run)
    {
        var problems = new List<ConfigProblem>();
        _ = ConfigJson.Bind<RunConfig>(ConfigJson.ToJson(run), problems);
        return problems.Count == 0;
    }

    // From the width that makes the operations equal, in steps that the measured ratio tells: time grows about as the MLP does, but not
    // in proportion.
    private (RunConfig Run, double Ratio) ByTime(Design design, RunConfig reference, DataSets data)
    {
        var flops = new Matching(MatchKind.Flops, variedKeys).Ratio(reference, data);
        var (run, goal) = (design.Config, 1.0);
        var best = (Run: run, Ratio: stepTime!(reference, run));
        for (var i = 0; i < Measurements && !(Math.Abs(best.Ratio - 1) <= TimeTolerance); i++)
        {
            goal = Math.Clamp(flops(best.Run) / best.Ratio, goal / 4, goal * 4);
            (run, _) = BySize(design, other => flops(other) / goal);
            if (run == best.Run) break;
            if (stepTime(reference, run) is var taken && Math.Abs(taken - 1) < Math.Abs(best.Ratio - 1)) best = (run, taken);
        }
        return best;
    }
}
