using System.Globalization;
using TorchSharp;
using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Native;

/// <summary>The device of a model.</summary>
public static class ComputeDevice
{
    /// <summary>The device of a name, ready to be used.</summary>
    /// <param name="name"><c>cpu</c>, <c>cuda</c> (the first GPU) or <c>cuda:N</c>.</param>
    /// <exception cref="InputException">There is no such device, or this libtorch cannot use it.</exception>
    public static Device Named(string name)
    {
        if (name == "cpu") return CPU;
        if (IndexOf(name) is not { } index) throw new InputException($"--device: found {name}, expected cpu, cuda or cuda:N.");
        if (!cuda.is_available())
            throw new InputException(
                $"--device {name}: this libtorch sees no GPU. Take cpu; docs/gpu.md and `doctor` say how to give it one.");
        if (index >= cuda.device_count()) throw new InputException($"--device {name}: there are {cuda.device_count()}, counted from 0.");
        InitializeDeviceType(DeviceType.CUDA);
        return new Device(DeviceType.CUDA, index);
    }

    /// <summary>The device of one of several ranks, each of which has its own.</summary>
    /// <param name="name"><c>cpu</c>, or <c>cuda</c> for the GPU with the rank's number on its machine.</param>
    /// <param name="localRank">That number, from 0; null where the launcher does not set it.</param>
    /// <exception cref="InputException">There is no such device, or this libtorch cannot use it.</exception>
    public static Device OfRank(string name, int? localRank)
    {
        if (name != "cuda" && IndexOf(name) is not null)
            throw new InputException($"--device {name}: each of several ranks takes the GPU of its number on its machine. " +
                "Say cuda; CUDA_VISIBLE_DEVICES says which there are.");
        if (name != "cuda") return Named(name);
        if (localRank is not { } rank)
            throw new InputException(
                "--device cuda: the launcher does not say which of the ranks on its machine this one is. Start with mpirun or srun.");
        if (cuda.is_available() && rank >= cuda.device_count())
            throw new InputException($"--device cuda: this is rank {rank} of its machine, counted from 0, " +
                $"which has {cuda.device_count()} GPUs. Start as many ranks per machine, or fewer.");
        return Named($"cuda:{rank}");
    }

    private static int? IndexOf(string name) => name == "cuda" ? 0
        : name.StartsWith("cuda:", StringComparison.Ordinal)
        && int.TryParse(name.AsSpan(5), NumberStyles.None, CultureInfo.InvariantCulture, out var index) ? index : null;
}
