using TorchSharp;
using Transformer.Configuration;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Distributed;

/// <summary>How this process was started: by itself, or as one of several by mpirun, mpiexec or srun.</summary>
public static class Launch
{
    // What the launchers leave in the environment: Open MPI's mpirun, the PMI of MPICH's and Intel's, Slurm's srun (not its batch script,
    // which is one process).
    private static readonly (string Variable, bool? IsOpenMpi)[] Launchers = [
        ("OMPI_COMM_WORLD_SIZE", true), ("PMI_SIZE", false), ("SLURM_STEP_NUM_TASKS", null)];

    /// <summary>How many processes the launcher says that there are.</summary>
    public static int Ranks => Launcher()?.Ranks ?? 1;

    /// <summary>
    /// How many threads keep busy the processors that this rank may use, shared with those ranks of its machine that may use the same ones.
    /// Where the launcher binds ranks to processors of their own (mpirun --bind-to, srun --cpu-bind) nothing is left to share.
    /// </summary>
    /// <param name="ranks">All ranks, which must ask together.</param>
    public static int Threads(ICollective ranks) =>
        Threads(ranks, $"{Environment.MachineName} {AllowedProcessors()}", Environment.ProcessorCount);

    /// <param name="ranks">All ranks, which must ask together.</param>
    /// <param name="processors">Which processors this rank may use.</param>
    /// <param name="count">How many they are, or what the control group grants of them.</param>
    internal static int Threads(ICollective ranks, string processors, int count) =>
        Math.Max(1, count / ranks.Gather(processors).Count(others => others == processors));

    // What the launcher has bound this process to, as a list such as 0-3,8.
    private static string AllowedProcessors() => !OperatingSystem.IsLinux() ? ""
        : File.ReadLines("/proc/self/status").FirstOrDefault(line => line.StartsWith("Cpus_allowed_list:", StringComparison.Ordinal)) ?? "";

    /// <summary>Which of those on this machine this process is, from 0; null where the launcher does not tell.</summary>
    public static int? LocalRank => ((string[])["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"])
        .Select(variable => int.TryParse(Environment.GetEnvironmentVariable(variable), out var rank) ? rank : (int?)null)
        .FirstOrDefault(rank => rank is not null);

    /// <summary>Connects the devices of several ranks, where they compute on graphics processors.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="device">This rank's device, that of no other.</param>
    /// <param name="error">Where it is said that an operation between devices has failed, before the job is ended.</param>
    /// <returns>What carries tensors of the device, too; null where there is one rank, or ranks compute on processors.</returns>
    /// <exception cref="CollectiveException">NCCL is missing on some rank, or ranks compute on devices of different kinds.</exception>
    public static Nccl? Connect(ICollective ranks, Device device, TextWriter error)
    {
        if (ranks.Ranks == 1) return null;
        ranks.RequireEqual(
            $"{device.type}", (rank, its, first) =>
                $"--device: rank {rank} computes on {its}, rank 0 on {first}. Give all ranks the same.");
        if (device.type != DeviceType.CUDA) return null;
        var (nccl, cuda) = ranks.RunOnAll(() => (NcclLibrary.Load(), CudaStreams.Load()));
        return new Nccl(ranks, device, nccl, cuda, error);
    }

    /// <summary>Joins the other ranks, where there are any.</summary>
    /// <param name="error">Where it is said that another rank is lost, before the job is ended.</param>
    /// <exception cref="InputException">MPI is missing, or is not that of the launcher.</exception>
    public static ICollective Join(TextWriter error)
    {
        if (Launcher() is not { } launcher || launcher.Ranks == 1) return new SingleProcess();
        var ranks = new Mpi(MpiLibrary.Load(launcher.IsOpenMpi), error);
        if (ranks.Ranks == launcher.Ranks) return ranks;
        var found = ranks.Ranks;
        ranks.Dispose();
        throw new InputException(
            $"{launcher.Variable} says {launcher.Ranks} ranks, but MPI found {found}: it is not the launcher's.\n" +
            "  Start with the mpirun of the installed MPI; with Slurm, srun --mpi=pmix (Open MPI) or --mpi=pmi2 (MPICH).");
    }

    private static (string Variable, int Ranks, bool? IsOpenMpi)? Launcher()
    {
        foreach (var (variable, isOpenMpi) in Launchers)
            if (int.TryParse(Environment.GetEnvironmentVariable(variable), out var ranks) && ranks > 0) return (variable, ranks, isOpenMpi);
        return null;
    }
}
