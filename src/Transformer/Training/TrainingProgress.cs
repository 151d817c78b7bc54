using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Training;

/// <summary>The progress of a run: the numbers of a checkpoint's training.json.</summary>
public sealed record TrainingProgress : IValidated
{
    /// <summary>The number of steps done.</summary>
    public int Step { get; init; }

    /// <summary>The sampler's cursor: the number of batches drawn.</summary>
    public long Position { get; init; }

    /// <summary>The number of tokens trained on.</summary>
    public long Tokens { get; init; }

    /// <summary>Seconds of work, interruptions left out.</summary>
    public double Seconds { get; init; }

    /// <summary>The lowest validation loss of the run's evaluations.</summary>
    public double? BestLoss { get; init; }

    /// <summary>The step of that evaluation.</summary>
    public int? BestStep { get; init; }

    /// <summary>Whether the validation accuracy has reached <see cref="TrainingConfig.StopAtAccuracy"/>, so that the run is over.</summary>
    public bool IsSolved { get; init; }

    /// <summary>The gradient scale of fp16; absent under other types.</summary>
    public double? GradientScale { get; init; }

    /// <summary>The good steps since that scale last changed.</summary>
    public int GoodSteps { get; init; }

    /// <summary>The length of samples.txt in bytes; what a killed process wrote after it is written again.</summary>
    public long SampleBytes { get; init; }

    /// <summary>The step of the last sample.</summary>
    public int SampledStep { get; init; }

    /// <summary>The shapes of a row of what the model remembers of the text, by name; absent where it remembers nothing.</summary>
    public IReadOnlyDictionary<string, long[]>? Memory { get; init; }

    /// <summary>xxHash-128 of the data, so that a run does not resume with other data.</summary>
    public string Corpus { get; init; } = "";

    /// <inheritdoc/>
    public IEnumerable<ConfigProblem> Problems()
    {
        if (Step < 0) yield return new("step", $"found {Step}, expected 0 or more");
        if (Position < 0) yield return new("position", $"found {Position}, expected 0 or more");
        if (GradientScale is <= 0) yield return new("gradient_scale", $"found {GradientScale}, expected more than 0");
        if (GoodSteps < 0) yield return new("good_steps", $"found {GoodSteps}, expected 0 or more");
        if (SampleBytes < 0) yield return new("sample_bytes", $"found {SampleBytes}, expected 0 or more");
    }
}
