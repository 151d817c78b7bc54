using static TorchSharp.torch;

namespace Transformer.Native;

/// <summary>
/// Limits libtorch to one thread until disposed: for models this small a second thread costs more than it saves, and the results do not
/// depend on the number of threads.
/// </summary>
internal sealed class OneThread : IDisposable
{
    private readonly int threads = get_num_threads();

    public OneThread() => set_num_threads(1);

    /// <inheritdoc/>
    public void Dispose() => set_num_threads(threads);
}
