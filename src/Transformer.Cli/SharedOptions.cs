using System.CommandLine;
using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Native;
using Transformer.Onnx;
using static TorchSharp.torch;

namespace Transformer.Cli;

/// <summary>Arguments and options that mean the same for every verb that has them.</summary>
internal static class SharedOptions
{
    /// <summary>Whether an error is followed by its stack trace; every verb has it.</summary>
    public static Option<bool> Verbose { get; } = new("--verbose") { Description = "Show the stack trace of an error.", Recursive = true };

    /// <summary>Assemblies that add kinds of mixers, MLPs and norms; every verb has it.</summary>
    public static Option<string[]> Kinds { get; } = new("--kinds")
    {
        Description = "Add the kinds of an assembly, so that configurations can name them; may be given again.",
        HelpName = "FILE.dll",
        DefaultValueFactory = _ => [],
        Recursive = true,
    };

    /// <summary>Whether one JSON object for scripts goes to standard output.</summary>
    public static Option<bool> Json { get; } = new("--json") { Description = "Print one JSON object on standard output." };

    /// <summary>Whether the process ends with the one that started it.</summary>
    public static Option<bool> StopWithInput { get; } = new("--stop-with-input")
    {
        Description = "Save and stop when standard input ends, as it does when the program that started this one is gone.",
    };

    /// <summary>Overrides of the configuration, applied in their order.</summary>
    public static Option<string[]> Set { get; } = new("--set")
    {
        Description = "Override a key, e.g. --set model.attention.heads=8; may be given again.",
        HelpName = "KEY=VALUE",
        DefaultValueFactory = _ => [],
    };

    /// <summary>How a model's matrices are stored in memory during generation.</summary>
    public static Option<string> Quantize { get; } = new("--quantize")
    {
        Description = "Quantize the weights for generation: bf16, fp16, q8 or q4; none keeps them as stored.",
        HelpName = "FORMAT",
        DefaultValueFactory = _ => "none",
    };

    /// <summary>The operators of which an ONNX graph is made.</summary>
    public static Option<string?> Operators { get; } = new("--operators")
    {
        Description = "The operators of an ONNX graph: standard, or fused, which are ONNX Runtime's own and combine several.",
        HelpName = "standard|fused",
    };

    /// <summary>The operators that the request names; null where it names none.</summary>
    /// <exception cref="InputException">There are none of this name.</exception>
    public static OnnxOperators? OperatorsOf(ParseResult request) => request.GetValue(Operators) switch
    {
        null => null,
        "standard" => OnnxOperators.Standard,
        "fused" => OnnxOperators.Fused,
        var other => throw new InputException($"--operators: found {other}, expected standard or fused."),
    };

    /// <summary>Where the model lives and computes.</summary>
    public static Option<string> Device { get; } = new("--device")
    {
        Description = "Where to compute: cpu, cuda or cuda:N.",
        HelpName = "DEVICE",
        DefaultValueFactory = _ => "cpu",
    };

    /// <summary>The device that the request names.</summary>
    /// <exception cref="InputException">There is no such device, or this libtorch cannot use it.</exception>
    public static Device DeviceOf(ParseResult request) => ComputeDevice.Named(request.GetRequiredValue(Device));

    /// <summary>The device of one of several ranks.</summary>
    /// <exception cref="InputException">There is no such device, or this libtorch cannot use it.</exception>
    public static Device DeviceOf(ParseResult request, ICollective ranks) =>
        ranks.Ranks == 1 ? DeviceOf(request) : ComputeDevice.OfRank(request.GetRequiredValue(Device), Launch.LocalRank);

    /// <summary>The number of threads.</summary>
    public static Option<int?> Threads { get; } = new Option<int?>("--threads")
    {
        Description = "The number of threads; default: all cores, divided among the ranks of a machine; train takes fewer if faster.",
        HelpName = "N",
    }.Whole(1, 1024, "more threads than cores are not faster");

    /// <summary>Lets libtorch use as many threads as the request says.</summary>
    public static void UseThreads(ParseResult request)
    {
        if (request.GetValue(Threads) is { } threads) set_num_threads(threads);
    }

    /// <summary>Whether a run of one process on the CPU finds the number of its threads itself: the user has named none.</summary>
    public static bool ChoosesThreads(ParseResult request, ICollective ranks, Device device) =>
        ranks.Ranks == 1 && device.type == TorchSharp.DeviceType.CPU && request.GetValue(Threads) is null
        && Environment.GetEnvironmentVariable("OMP_NUM_THREADS") is null;

    /// <summary>
    /// Lets libtorch use as many threads as the request says or, on each of several ranks, its part of the cores. All ranks call it
    /// together.
    /// </summary>
    public static void UseThreads(ParseResult request, ICollective ranks)
    {
        UseThreads(request);
        var share = Launch.Threads(ranks);
        if (ranks.Ranks > 1 && request.GetValue(Threads) is null) set_num_threads(Math.Min(get_num_threads(), share));
    }
}
