using Transformer.Distributed;
using Transformer.Runs;

namespace Transformer.Training;

/// <summary>
/// Checks that all ranks run the same version with the same configuration and data; a different rank would silently spoil the run.
/// </summary>
internal static class RankConsistency
{
    /// <summary>Compares every rank with rank 0.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="config">This rank's resolved configuration.</param>
    /// <param name="corpus">The checksum of this rank's data.</param>
    /// <param name="version">The version of this library that this rank runs.</param>
    /// <exception cref="CollectiveException">They differ, by the message of rank 0.</exception>
    public static void Check(ICollective ranks, RunConfig config, string corpus, string version)
    {
        ranks.RequireEqual(
            $"{version}\n{corpus}\n{ConfigFile.ToYaml(config)}", (rank, its, first) =>
                Difference(rank, its.Split('\n'), first.Split('\n')));
    }

    /// <summary>Compares the progress of every rank's checkpoint with rank 0's.</summary>
    /// <exception cref="CollectiveException">They differ, by the message of rank 0.</exception>
    public static void CheckProgress(ICollective ranks, TrainingProgress progress) => ranks.RequireEqual(
        $"{progress.Step}", (rank, its, first) =>
            $"rank {rank} would resume from step {its}, rank 0 from step {first}. Give all machines the same run folder.");

    private static string Difference(int rank, string[] its, string[] first)
    {
        if (its[0] != first[0]) return $"rank {rank} runs version {its[0]}, rank 0 {first[0]}. Install the same one on all machines.";
        if (its[1] != first[1])
            return $"rank {rank} has another text than rank 0 (xxHash-128 {its[1]}, not {first[1]}). Give all machines the same file.";
        var line = Enumerable.Range(0, Math.Max(its.Length, first.Length))
            .First(i => its.ElementAtOrDefault(i) != first.ElementAtOrDefault(i));
        return $"rank {rank} has another configuration than rank 0: {Line(its)}, not {Line(first)}. " +
            "Give all ranks the same file and the same options.";

        string Line(string[] lines) => lines.ElementAtOrDefault(line)?.Trim() ?? "nothing";
    }
}
