using System.Reflection;
using TorchSharp;
using Transformer.Configuration;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Distributed;

/// <summary>How this process was started: by itself, or as one of several by mpirun, mpiexec or srun.</summary>
public static class Launch
{
    // Environment variables of the launchers: Open MPI's mpirun, the PMI of MPICH and Intel MPI, Slurm's srun (not its batch script, which
    // is one process).
    private static readonly (string Variable, bool? IsOpenMpi)[] Launchers = [
        ("OMPI_COMM_WORLD_SIZE", true), ("PMI_SIZE", false), ("SLURM_STEP_NUM_TASKS", null)];

    /// <summary>The number of processes that the launcher started.</summary>
    public static int Ranks => Launcher()?.Ranks ?? 1;

    /// <summary>
    /// The number of threads for this rank: the cores that it may use, divided by the ranks of its machine that may use the same ones.
    /// Where the launcher binds ranks to cores of their own (mpirun --bind-to, srun --cpu-bind) nothing is shared.
    /// </summary>
    /// <param name="ranks">All ranks, which must ask together.</param>
    public static int Threads(ICollective ranks) =>
        Threads(ranks, $"{Environment.MachineName} {AllowedProcessors()}", Environment.ProcessorCount);

    /// <param name="ranks">All ranks, which must ask together.</param>
    /// <param name="processors">The cores that this rank may use.</param>
    /// <param name="count">How many they are, or the limit of the control group.</param>
    internal static int Threads(ICollective ranks, string processors, int count) =>
        Math.Max(1, count / ranks.Gather(processors).Count(others => others == processors));

    // The cores to which the launcher has bound this process, as a list such as 0-3,8.
    private static string AllowedProcessors() => !OperatingSystem.IsLinux() ? ""
        : File.ReadLines("/proc/self/status").FirstOrDefault(line => line.StartsWith("Cpus_allowed_list:", StringComparison.Ordinal)) ?? "";

    /// <summary>The number of this process among those of its machine, from 0; null where the launcher does not set it.</summary>
    public static int? LocalRank => ((string[])["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"])
        .Select(variable => int.TryParse(Environment.GetEnvironmentVariable(variable), out var rank) ? rank : (int?)null)
        .FirstOrDefault(rank => rank is not null);

    /// <summary>Connects the GPUs of several ranks.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="device">This rank's device, used by no other rank.</param>
    /// <param name="error">Where a failed operation between devices is reported before the job is ended.</param>
    /// <returns>The collective for tensors of the device; null for one rank and on CPUs.</returns>
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

    /// <summary>Joins the other ranks, where there are any, and agrees with them on what to do.</summary>
    /// <param name="error">Where the loss of another rank is reported before the job is ended.</param>
    /// <param name="task">What this rank is to do, in a word such as train: ranks that did different things would wait for each other for
    /// ever.</param>
    /// <param name="refusal">Why this rank cannot begin, of which all hear; null where it can.</param>
    /// <exception cref="InputException">MPI is missing, or is not the launcher's, or the other ranks do not join.</exception>
    /// <exception cref="CollectiveException">Ranks have other tasks, or another version of this library, or one cannot begin.</exception>
    public static ICollective Join(TextWriter error, string task, InputException? refusal = null)
    {
        if (Launcher() is not { } launcher || launcher.Ranks == 1) return new SingleProcess();
        var ranks = new Mpi(MpiLibrary.Load(launcher.IsOpenMpi), error);
        if (ranks.Ranks == launcher.Ranks)
        {
            try
            {
                Agree(ranks, task, Version, refusal);
                return ranks;
            }
            catch
            {
                ranks.Dispose();
                throw;
            }
        }
        var found = ranks.Ranks;
        ranks.Dispose();
        throw new InputException(
            $"{launcher.Variable} says {launcher.Ranks} ranks, but MPI found {found}: it is not the launcher's.\n" +
            "  Start with the mpirun of the installed MPI; with Slurm, srun --mpi=pmix (Open MPI) or --mpi=pmi2 (MPICH).");
    }

    /// <summary>This library's version, with the commit that it was built from.</summary>
    internal static string Version { get; } =
        typeof(Launch).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;

    /// <summary>Checks that all ranks are to do the same, by the same version, before they do anything else together.</summary>
    /// <param name="ranks">All ranks, which must ask together.</param>
    /// <param name="task">What this rank is to do.</param>
    /// <param name="version">The version that it runs.</param>
    /// <param name="refusal">Why this rank cannot begin; null where it can.</param>
    /// <exception cref="CollectiveException">They differ, or one cannot begin.</exception>
    internal static void Agree(ICollective ranks, string task, string version, InputException? refusal = null)
    {
        ranks.CurrentOperation = task;
        ranks.RequireEqual(
            version,
            (rank, its, first) => $"rank {rank} runs version {its}, rank 0 {first}. Install the same one on all machines.");
        ranks.RequireEqual(
            task, (rank, its, first) => $"rank {rank} was started to {its}, rank 0 to {first}. Give all ranks the same verb.");
        ranks.RunOnAll(() =>
        {
            if (refusal is not null) throw refusal;
        });
    }

    private static (string Variable, int Ranks, bool? IsOpenMpi)? Launcher()
    {
        foreach (var (variable, isOpenMpi) in Launchers)
            if (int.TryParse(Environment.GetEnvironmentVariable(variable), out var ranks) && ranks > 0) return (variable, ranks, isOpenMpi);
        return null;
    }
}
