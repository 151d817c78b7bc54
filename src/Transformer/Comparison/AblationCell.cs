using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Comparison;

/// <summary>One run of an ablation: a design with a seed.</summary>
/// <param name="Design">The design.</param>
/// <param name="Seed">The seed.</param>
/// <param name="Sweep">The key that is swept; null for none.</param>
/// <param name="Value">Its value in this run; null where nothing is swept.</param>
/// <param name="Steps">The steps of a run of the sweep; null for a run that is compared.</param>
public sealed record AblationCell(Design Design, int Seed, Sweep? Sweep = null, double? Value = null, int? Steps = null)
{
    /// <summary>Its name, also that of its folder.</summary>
    public string Name => $"{Design.Folder}/{(Value is { } value ? $"{Comparison.Sweep.Text(value)}-" : "")}seed-{Seed}" +
        (Steps is { } steps ? $"-steps-{steps}" : "");

    /// <summary>The whole run.</summary>
    /// <exception cref="InputException">The swept key is none of the configuration, or does not take the value.</exception>
    public RunConfig Config()
    {
        var run = ConfigJson.ToJson(Design.Config).ToJsonString();
        string[] settings = [
            $"training.seed={Seed}", .. Shortened(), .. Sweep is null || Value is null ? [] : (string[])[Sweep.Setting(Value.Value)]];
        return ConfigFile.Parse(run, Design.Name, settings);
    }

    // Warm-up and decay are the same parts of a shorter run.
    private IEnumerable<string> Shortened()
    {
        if (Steps is not { } steps) yield break;
        var (training, share) = (Design.Config.Training, (double)steps / Design.Config.Training.Steps);
        yield return $"training.steps={steps}";
        yield return $"training.schedule.warmup_steps={(int)(share * training.Schedule.WarmupSteps)}";
        if (training.Schedule is WarmupStableDecayScheduleConfig decay)
            yield return $"training.schedule.decay_steps={(int)(share * decay.DecaySteps)}";
    }
}
