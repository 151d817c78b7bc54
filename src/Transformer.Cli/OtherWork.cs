using Transformer.Configuration;
using Transformer.Native;

namespace Transformer.Cli;

/// <summary>Notices during a run that other work holds the cores it computes on.</summary>
internal sealed class OtherWork
{
    private const double Seconds = 5;    // between two looks
    private readonly OtherLoad load;
    private readonly string run;
    private readonly int threads;
    private bool noticed;

    private OtherWork(OtherLoad load, string run, int threads) => (this.load, this.run, this.threads) = (load, run, threads);

    /// <summary>Begins to watch; null where the system does not tell.</summary>
    /// <param name="run">The run's folder.</param>
    /// <param name="threads">Its threads.</param>
    public static OtherWork? TryWatch(string run, int threads) =>
        OtherLoad.TryStart() is { } load ? new OtherWork(load, run, threads) : null;

    /// <summary>What the progress line says of it at the moment; empty where nothing is in the way.</summary>
    public string Now { get; private set; } = "";

    /// <summary>Looks again if it is time to; what to do, the first time that something is in the way.</summary>
    public string? Notice()
    {
        if (load.Seconds < Seconds) return null;
        var (others, cores) = (load.Cores(), Environment.ProcessorCount);
        var isInTheWay = OtherLoad.IsInTheWay(threads, others, cores);
        Now = isInTheWay ? $"  others hold {others:f1} of {cores} cores" : "";
        if (!isInTheWay || noticed) return null;
        noticed = true;
        return Advice(others, cores, threads, $"interrupt this run and continue with {ShellCommand.Of(TrainVerb.Name, "--resume", run)}");
    }

    /// <summary>What to do about others that hold so many cores.</summary>
    /// <param name="others">The cores that others hold.</param>
    /// <param name="cores">The cores that there are.</param>
    /// <param name="threads">The threads that compute.</param>
    /// <param name="instead">How to compute with fewer; the number follows.</param>
    public static string Advice(double others, int cores, int threads, string instead)
    {
        var free = OtherLoad.FreeCores(others, cores);
        return $"Other work holds {others:f1} of {cores} cores, which slows training. End it"
            + (threads > free ? $", or {instead} --threads {free}." : ".");
    }
}
