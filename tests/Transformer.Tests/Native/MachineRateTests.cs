using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Tests.Native;

public sealed class MachineRateTests
{
    [Fact]
    public void Measuring_draws_no_random_number()
    {
        using var scope = NewDisposeScope();
        var before = get_rng_state();
        Assert.True(MachineRate.MatrixFlopsPerSecond(CPU) > 0);
        Near.Equal(before, get_rng_state(), 0);
    }
}
