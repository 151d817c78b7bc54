using Transformer.Cli;
using Transformer.Configuration;
using Transformer.Native;
using Transformer.Tests.EndToEnd;
using static TorchSharp.torch;

namespace Transformer.Tests.Native;

public sealed class ComputeDeviceTests
{
    [Theory]
    [InlineData("gpu", "--device: found gpu, expected cpu, cuda or cuda:N.")]
    [InlineData("cuda:x", "--device: found cuda:x, expected cpu, cuda or cuda:N.")]
    [InlineData("cuda:-1", "--device: found cuda:-1, expected cpu, cuda or cuda:N.")]
    [InlineData("cuda:99", "--device cuda:99: ")]
    public async Task Names_of_devices_that_are_not_there_are_refused_and_nothing_is_written(string name, string message)
    {
        Assert.StartsWith(message, Assert.Throws<InputException>(() => ComputeDevice.Named(name)).Message, StringComparison.Ordinal);

        using var here = new Workplace();
        var (code, _, error) = await here.Train("run", "--device", name);
        Assert.Equal(CommandLine.Refused, code);
        Assert.Contains(message, error);
        Assert.False(Directory.Exists(here["run"]));
    }

    [Fact]
    public void The_processor_is_always_there() => Assert.Equal(CPU, ComputeDevice.Named("cpu"));
}
