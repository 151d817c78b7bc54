using System.Text.Json;
using Transformer.Files;
using Transformer.Runs;
using Transformer.Training;

namespace Transformer.Comparison;

/// <summary>How a run of an ablation ended.</summary>
/// <param name="Outcome">Its numbers; null where it failed.</param>
/// <param name="Failure">Why it failed; null where it did not.</param>
/// <param name="HasDiverged">Whether its loss ceased to be finite, which is a result; any other failure is tried again.</param>
public sealed record CellResult(TrainingOutcome? Outcome, string? Failure = null, bool HasDiverged = false)
{
    /// <summary>Reads what <see cref="Write"/> wrote; null where there is nothing, or a failure to try again.</summary>
    internal static CellResult? Read(string path) =>
        File.Exists(path) && JsonSerializer.Deserialize<CellResult>(WholeFile.Text(path), ConfigJson.Options) is { } result
            && (result.Outcome is not null || result.HasDiverged) ? result : null;

    internal void Write(string path) => DurableFile.WriteText(path, JsonSerializer.Serialize(this, ConfigJson.Options) + "\n");
}
