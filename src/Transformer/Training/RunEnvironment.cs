using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Files;
using Transformer.Layers;
using Transformer.Native;
using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>What a run was computed with. If one of these differs, the last digits may differ.</summary>
/// <param name="Version">This library's version, with the commit that it was built from.</param>
/// <param name="Dotnet">The .NET runtime.</param>
/// <param name="Torchsharp">The version of TorchSharp, which names that of libtorch.</param>
/// <param name="Libtorch">How libtorch was loaded, and its folder if it is not the package's.</param>
/// <param name="System">The operating system.</param>
/// <param name="Processor">The processor's name and architecture.</param>
/// <param name="Threads">The threads that libtorch uses, on each rank.</param>
/// <param name="Device">Where the model lives.</param>
/// <param name="Ranks">The number of processes that train together.</param>
/// <param name="Backend">The communication library with its version; null for one process.</param>
/// <param name="Kinds">The assemblies from which kinds were added; null for none.</param>
/// <param name="LibtorchVersion">The version that libtorch tells itself; null in records of earlier versions.</param>
public sealed record RunEnvironment(
    string Version, string Dotnet, string Torchsharp, string Libtorch, string System, string Processor, int Threads, string Device = "cpu",
    int Ranks = 1, string? Backend = null, IReadOnlyList<AddedAssembly>? Kinds = null, string? LibtorchVersion = null)
{
    /// <summary>The name of the file in the run's folder.</summary>
    public const string FileName = "environment.json";

    private static readonly JsonSerializerOptions Format = new(ConfigJson.Options) { WriteIndented = true };

    /// <summary>The environment of this process.</summary>
    /// <param name="ranks">The ranks that train together; this process alone where null.</param>
    /// <param name="device">Where the model lives; the CPU where null.</param>
    public static RunEnvironment Current(ICollective? ranks = null, Device? device = null) => new(
        Launch.Version,
        RuntimeInformation.FrameworkDescription,
        typeof(TorchSharp.torch).Assembly.GetName().Version!.ToString(3),
        LibTorch.How,
        RuntimeInformation.OSDescription,
        $"{ProcessorName()} ({RuntimeInformation.ProcessArchitecture})",
        get_num_threads(),
        $"{device ?? CPU}",
        ranks?.Ranks ?? 1,
        ranks?.Backend,
        Layers.Kinds.Assemblies is [_, ..] added ? [.. added] : null,
        LibTorch.Version);

    /// <summary>Reads what <see cref="Write"/> wrote; null where there is nothing to read.</summary>
    /// <exception cref="InputException">The file is not what <see cref="Write"/> wrote.</exception>
    public static RunEnvironment? Read(string path)
    {
        try
        {
            return File.Exists(path) ? JsonSerializer.Deserialize<RunEnvironment>(WholeFile.Text(path), ConfigJson.Options) : null;
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException or DecoderFallbackException)
        {
            throw new InputException($"{path}: cannot be read ({JsonProblem.Of(e)}). " +
                "Delete it to resume the run without the comparison.", e);
        }
    }

    /// <summary>
    /// The differences from the environment in which a run began, one line each. If the run was killed before it was recorded, this
    /// process's is recorded.
    /// </summary>
    internal IEnumerable<string> ChangesSince(string path)
    {
        if (Read(path) is { } earlier) return DifferencesFrom(earlier);
        Write(path);
        return [];
    }

    /// <summary>Writes it as JSON.</summary>
    public void Write(string path) => DurableFile.WriteText(path, JsonSerializer.Serialize(this, Format) + "\n");

    /// <summary>The differences that change the last digits: threads, ranks, device, processor, libtorch.</summary>
    public IEnumerable<string> DifferencesFrom(RunEnvironment earlier)
    {
        if (Threads != earlier.Threads) yield return $"threads: {earlier.Threads} before, {Threads} now";
        if (Ranks != earlier.Ranks) yield return $"ranks: {earlier.Ranks} before, {Ranks} now";
        if (Backend != earlier.Backend) yield return $"between ranks: {earlier.Backend ?? "nothing"} before, {Backend ?? "nothing"} now";
        if (Device != earlier.Device) yield return $"device: {earlier.Device} before, {Device} now";
        if (Processor != earlier.Processor) yield return $"processor: {earlier.Processor} before, {Processor} now";
        if (Libtorch != earlier.Libtorch) yield return $"libtorch: {earlier.Libtorch} before, {Libtorch} now";
        if (earlier.LibtorchVersion is { } version && version != LibtorchVersion)
            yield return $"libtorch's version: {version} before, {LibtorchVersion} now";
        if (Torchsharp != earlier.Torchsharp) yield return $"TorchSharp: {earlier.Torchsharp} before, {Torchsharp} now";
        if (KindsText != earlier.KindsText) yield return $"kinds: {earlier.KindsText} before, {KindsText} now";
    }

    private string KindsText => Kinds is null ? "none" : string.Join(", ", Kinds);

    private static string ProcessorName() => File.Exists("/proc/cpuinfo")
        ? File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':', 2)[1]
        .Trim() ?? "unknown"
        : Environment.GetEnvironmentVariable("PROCESSOR_IDENTIFIER") ?? "unknown";
}
