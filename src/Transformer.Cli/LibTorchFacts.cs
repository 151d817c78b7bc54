using System.Runtime.CompilerServices;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Model;
using Transformer.Native;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Cli;

/// <summary>What libtorch can do here.</summary>
/// <param name="Torchsharp">The version of TorchSharp, which names that of libtorch.</param>
/// <param name="Loaded">How it was loaded.</param>
/// <param name="Folder">Its folder; null where TorchSharp found it.</param>
/// <param name="Threads">The threads that it uses.</param>
/// <param name="MatrixFlopsPerSecond">Its product of two large matrices in fp32.</param>
/// <param name="MemoryBytesPerSecond">The rate at which that many threads read memory.</param>
/// <param name="GraphicsProcessors">The number of GPUs that it sees.</param>
internal sealed record LibTorchFacts(
    string Torchsharp, string Loaded, string? Folder, int Threads, double MatrixFlopsPerSecond, double MemoryBytesPerSecond,
    int GraphicsProcessors)
{
    /// <summary>Loads libtorch, trains a tiny model for a step and measures the machine.</summary>
    /// <exception cref="Exception">libtorch cannot be loaded, or cannot train; the message says why.</exception>
    public static LibTorchFacts Read()
    {
        LibTorch.Load();
        return ReadLoaded();
    }

    /// <summary>What is wrong with them, and what to do about it.</summary>
    public IEnumerable<string> Problems(SystemFacts system)
    {
        if (Threads > system.Cores)
            yield return $"libtorch uses {Threads} threads on {system.Cores} cores, which slows it: " +
                $"set OMP_NUM_THREADS={system.Cores} or use --threads {system.Cores}.";
        if (Threads == 1 && system.Cores > 1)
        {
            var isSet = Environment.GetEnvironmentVariable("OMP_NUM_THREADS") == "1";
            yield return $"libtorch uses 1 of {system.Cores} cores: {(isSet ? "unset OMP_NUM_THREADS" : $"use --threads {system.Cores}")}.";
        }
        if (system.HasGraphicsDriver && GraphicsProcessors == 0)
            yield return "There is an NVIDIA driver, but this libtorch sees no GPU: " +
                $"set {LibTorch.FolderVariable} to the torch/lib folder of a PyTorch with CUDA, of the version that TorchSharp names.";
    }

    // Separate from Read: the runtime loads TorchSharp as soon as it compiles a method that names it.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static LibTorchFacts ReadLoaded()
    {
        TrainOneStep();
        return new(
            typeof(TorchSharp.torch).Assembly.GetName().Version!.ToString(3),
            LibTorch.How,
            LibTorch.Folder,
            get_num_threads(),
            MachineRate.MatrixFlopsPerSecond(CPU),
            MachineRate.MemoryBytesPerSecond(),
            cuda.is_available() ? cuda.device_count() : 0);
    }

    /// <summary>Trains a tiny model for a step.</summary>
    public static void TrainOneStep()
    {
        var config = new ModelConfig
        {
            Width = 8,
            ContextLength = 4,
            Layers = 1,
            VocabularySize = 4,
            Attention = new SoftmaxAttentionConfig { Heads = 2 }
        };
        var training = new TrainingConfig { Steps = 1, BatchSize = 1, Optimizer = new AdamWConfig { LearningRate = 1e-3 } };
        using var model = new TransformerModel(config);
        using var space = new ParameterSpace(model);
        using var optimizer = Optimizer.FromConfig(training.Optimizer, space);
        var result = new TrainingStep(model, space, optimizer, training)
            .Run(1, [new Batch([0, 1, 2, 3], [1, 2, 3, 0], Rows: 1, Columns: 4)]);
        if (!result.IsFinite) throw new InvalidOperationException($"a training step of a tiny model gave the loss {result.Loss}");
    }
}
