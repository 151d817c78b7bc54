using TorchSharp;
using static TorchSharp.torch;

namespace Transformer.Native;

/// <summary>
/// Numbers on their way between the processor's memory and a device. A device works behind the thread that gives it work; an ordinary copy
/// makes the thread wait for all that was given before. Here are the way there that does not wait and the one way back, which must: what a
/// training step has of the latter is what it waits.
/// </summary>
internal static class DeviceCopy
{
    /// <summary>
    /// A tensor of the processor's memory on a device, which fetches it by itself, from pinned memory, while this thread goes on.
    /// </summary>
    public static Tensor ToDeviceAsync(this Tensor here, Device device) =>
        device.type == DeviceType.CUDA ? here.pin_memory().to(device, non_blocking: true) : here.to(device);

    /// <summary>The numbers of a tensor, all in one copy, once its device has made them.</summary>
    public static double[] ToHost(this Tensor numbers)
    {
        using var scope = NewDisposeScope();
        return numbers.detach().to(ScalarType.Float64).cpu().contiguous().data<double>().ToArray();
    }
}
