using static TorchSharp.torch;

namespace Transformer.Native;

/// <summary>
/// One thread for libtorch until it is disposed: models this small wait for a second one longer than it saves, and the numbers do not
/// depend on how many there are.
/// </summary>
internal sealed class OneThread : IDisposable
{
    private readonly int threads = get_num_threads();

    public OneThread() => set_num_threads(1);

    /// <inheritdoc/>
    public void Dispose() => set_num_threads(threads);
}
