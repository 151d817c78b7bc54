using Transformer.Configuration;
using Transformer.Native;

namespace Transformer.Cli;

/// <summary>Notices during a run that other processes use the cores it computes on.</summary>
internal sealed class ContentionWarning
{
    private const double Seconds = 5;    // between two looks
    private readonly CpuContention load;
    private readonly string run;
    private readonly int threads;
    private bool noticed;

    private ContentionWarning(CpuContention load, string run, int threads) => (this.load, this.run, this.threads) = (load, run, threads);

    /// <summary>Begins to watch; null where the system does not tell.</summary>
    /// <param name="run">The run's folder.</param>
    /// <param name="threads">Its threads.</param>
    public static ContentionWarning? TryWatch(string run, int threads) =>
        CpuContention.TryStart() is { } load ? new ContentionWarning(load, run, threads) : null;

    /// <summary>What the progress line says of it at the moment; empty where there are enough cores.</summary>
    public string Now { get; private set; } = "";

    /// <summary>Looks again if it is time to; what to do, the first time that there are too few cores.</summary>
    public string? Notice()
    {
        if (load.Seconds < Seconds) return null;
        if (load.Cores() is not { } others) return null;
        var cores = Environment.ProcessorCount;
        var isOversubscribed = CpuContention.IsOversubscribed(threads, others, cores);
        Now = isOversubscribed ? $"  others use {others:f1} of {cores} cores" : "";
        if (!isOversubscribed || noticed) return null;
        noticed = true;
        return Advice(others, cores, threads, $"interrupt this run and continue with {ShellCommand.Of(TrainVerb.Name, "--resume", run)}");
    }

    /// <summary>What to do about other processes that use so many cores.</summary>
    /// <param name="others">The cores that others use.</param>
    /// <param name="cores">The cores that there are.</param>
    /// <param name="threads">The threads that compute.</param>
    /// <param name="instead">How to compute with fewer; the number follows.</param>
    public static string Advice(double others, int cores, int threads, string instead)
    {
        var free = CpuContention.FreeCores(others, cores);
        return $"Other processes use {others:f1} of {cores} cores, which slows training. Stop them"
            + (threads > free ? $", or {instead} --threads {free}." : ".");
    }
}
