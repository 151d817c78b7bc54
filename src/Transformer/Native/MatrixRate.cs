using System.Diagnostics;
using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Native;

/// <summary>
/// The machine's matrix rate, measured during a run: one product of matrices as large as those of <see cref="MachineRate"/> at the start
/// and one after each second of work, ten at most. The best of them counts, as in <see cref="MachineRate"/>, so the rate can only rise.
/// </summary>
internal sealed class MatrixRate : IDisposable
{
    private const int Most = 10;
    private readonly int side;
    private readonly Tensor a, b;
    private int measured;

    /// <summary>Measures the first product.</summary>
    public MatrixRate(Device device, Precision precision)
    {
        using var scope = NewDisposeScope();
        // A separate generator: a run's dropout must not depend on how often the rate was measured.
        using var random = new Generator(seed: 0, device);
        side = MachineRate.SideFor(device, precision);
        a = rand(side, side, device: device, generator: random).to(ProductTypes.Of(precision)).ForMatmul().DetachFromDisposeScope();
        b = rand(side, side, device: device, generator: random).to(ProductTypes.Of(precision)).ForMatmul().DetachFromDisposeScope();
        Measure();
    }

    /// <summary>FLOP/s of the best product so far.</summary>
    public double FlopsPerSecond { get; private set; }

    /// <summary>Measures another product if the run has worked for at least as many seconds as products were measured.</summary>
    /// <param name="seconds">How long the run has worked.</param>
    public void Update(double seconds)
    {
        if (measured < Most && seconds >= measured) Measure();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        a.Dispose();
        b.Dispose();
    }

    private void Measure()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var watch = Stopwatch.StartNew();
        matmul(a, b)[0, 0].to(ScalarType.Float32).item<float>();    // waits for the device
        FlopsPerSecond = Math.Max(FlopsPerSecond, 2.0 * side * side * side / watch.Elapsed.TotalSeconds);
        measured++;
    }
}
