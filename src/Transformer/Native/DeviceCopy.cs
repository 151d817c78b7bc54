using TorchSharp;
using static TorchSharp.torch;

namespace Transformer.Native;

/// <summary>
/// Copies between CPU memory and a device. A device works asynchronously, and an ordinary copy blocks the thread until all queued work is
/// done. Here are a copy to the device that does not block, and the one copy back, which must: a training step blocks only there.
/// </summary>
internal static class DeviceCopy
{
    /// <summary>
    /// Copies a CPU tensor to a device asynchronously, from pinned memory.
    /// </summary>
    public static Tensor ToDeviceAsync(this Tensor here, Device device) =>
        device.type == DeviceType.CUDA ? here.pin_memory().to(device, non_blocking: true) : here.to(device);

    /// <summary>The numbers of a tensor, in one copy; blocks until the device has computed them.</summary>
    public static double[] ToHost(this Tensor numbers)
    {
        using var scope = NewDisposeScope();
        return numbers.detach().to(ScalarType.Float64).cpu().contiguous().data<double>().ToArray();
    }
}
