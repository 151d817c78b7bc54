using System.Globalization;
using TorchSharp;
using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Native;

/// <summary>Where a model lives and computes.</summary>
public static class ComputeDevice
{
    /// <summary>The device of a name, ready to be used.</summary>
    /// <param name="name"><c>cpu</c>, <c>cuda</c> (the first graphics processor) or <c>cuda:N</c>.</param>
    /// <exception cref="InputException">There is no such device, or this libtorch cannot use it.</exception>
    public static Device Named(string name)
    {
        if (name == "cpu") return CPU;
        if (IndexOf(name) is not { } index) throw new InputException($"--device: found {name}, expected cpu, cuda or cuda:N.");
        if (!cuda.is_available()) throw new InputException($"--device {name}: this libtorch sees no graphics processor. Take cpu; docs/gpu.md and `doctor` say how to give it one.");
        if (index >= cuda.device_count()) throw new InputException($"--device {name}: there are {cuda.device_count()}, counted from 0.");
        InitializeDeviceType(DeviceType.CUDA);
        return new Device(DeviceType.CUDA, index);
    }

    private static int? IndexOf(string name) => name == "cuda" ? 0
        : name.StartsWith("cuda:", StringComparison.Ordinal) && int.TryParse(name.AsSpan(5), NumberStyles.None, CultureInfo.InvariantCulture, out var index) ? index : null;
}
