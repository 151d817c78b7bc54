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

    [Theory]
    [InlineData("gpu", 0, "--device: found gpu, expected cpu, cuda or cuda:N.")]
    [InlineData("cuda:1", 1, "--device cuda:1: each of several ranks takes the GPU of its number on its machine.")]
    [InlineData("cuda", null, "--device cuda: the launcher does not say which of the ranks on its machine this one is.")]
    [InlineData("cuda", 99, "--device cuda")]
    public void Of_several_ranks_each_takes_the_device_of_its_number_or_is_told_why_not(string name, int? localRank, string message) =>
        Assert.StartsWith(
            message, Assert.Throws<InputException>(() => ComputeDevice.OfRank(name, localRank)).Message, StringComparison.Ordinal);

    [Fact]
    public void The_processor_is_always_there() =>
        Assert.All([ComputeDevice.Named("cpu"), ComputeDevice.OfRank("cpu", localRank: null)], device => Assert.Equal(CPU, device));
}
