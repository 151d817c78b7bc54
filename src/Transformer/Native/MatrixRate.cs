using System.Collections.Concurrent;
using System.Diagnostics;
using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Native;

/// <summary>
/// The machine's matrix rate, measured during a run: one product of matrices as large as those of <see cref="MachineRate"/> at the start
/// and one after each second of work, ten at most. The best of them counts, as in <see cref="MachineRate"/>, so the rate can only rise. A
/// later run of the same process, with as many threads, begins with the rate of the earlier ones, and multiplies the same matrices.
/// </summary>
internal sealed class MatrixRate
{
    private const int Most = 10;
    private static readonly ConcurrentDictionary<(string Device, Precision Precision, int Threads), double> Rates = new();
    private static readonly ConcurrentDictionary<(string Device, Precision Precision), (Tensor A, Tensor B)> Factors = new();
    private readonly Device device;
    private readonly Precision precision;
    private readonly (string, Precision, int) machine;
    private int measured;

    /// <summary>Measures the first product, where no earlier run of this process has.</summary>
    public MatrixRate(Device device, Precision precision)
    {
        (this.device, this.precision) = (device, precision);
        machine = (device.ToString(), precision, get_num_threads());
        if (Rates.ContainsKey(machine)) measured = 1;
        else Measure();
    }

    /// <summary>FLOP/s of the best product so far.</summary>
    public double FlopsPerSecond => Rates[machine];

    /// <summary>Measures another product if the run has worked for at least as many seconds as products were measured.</summary>
    /// <param name="seconds">How long the run has worked.</param>
    public void Update(double seconds)
    {
        if (measured < Most && seconds >= measured) Measure();
    }

    private void Measure()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var (a, b) = Factors.GetOrAdd((device.ToString(), precision), _ => Draw());
        double side = a.shape[0];
        var watch = Stopwatch.StartNew();
        matmul(a, b)[0, 0].to(ScalarType.Float32).item<float>();    // waits for the device
        var rate = 2.0 * side * side * side / watch.Elapsed.TotalSeconds;
        Rates.AddOrUpdate(machine, rate, (_, best) => Math.Max(best, rate));
        measured++;
    }

    private (Tensor A, Tensor B) Draw()
    {
        // A separate generator: a run's dropout must not depend on how often the rate was measured.
        using var random = new Generator(seed: 0, device);
        var side = MachineRate.SideFor(device, precision);
        Tensor Factor() => rand(side, side, device: device, generator: random).to(ProductTypes.Of(precision)).ForMatmul()
            .DetachFromDisposeScope();
        return (Factor(), Factor());
    }
}
