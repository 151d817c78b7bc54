using TorchSharp;
using Transformer.Checkpoints;
using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Tests.Checkpoints;

public sealed class TrainingTensorsTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose()
    {
        scope.Dispose();
        folder.Dispose();
    }

    [Fact]
    public void Parts_of_whatever_ranks_are_read_from_wherever_they_lie()
    {
        Write(("w@3", Numbers(3, 7)), ("w@0", Numbers(0, 3)));
        using var file = TrainingTensors.Open(folder.Path);
        var found = zeros(4);
        file.ReadInto("w@2", found);
        Assert.Equal([2f, 3f, 4f, 5f], found.data<float>().ToArray());
    }

    [Theory]
    [InlineData(2, "w@2 begins where no part ends; expected 3")]
    [InlineData(4, "w@4 begins where no part ends; expected 3")]
    public void Parts_that_overlap_or_leave_a_hole_are_refused(long begin, string problem)
    {
        Write(("w@0", Numbers(0, 3)), ($"w@{begin}", Numbers(0, 4)));
        Assert.Contains(problem, Refusal(4));
    }

    [Fact]
    public void A_part_that_is_no_row_and_numbers_that_are_missing_are_refused()
    {
        Write(("w@0", Numbers(0, 3)), ("w@3", tensor(1f)));
        Assert.Contains("w@3 is [], expected numbers in a row", Refusal(4));
        Write(("w@0", Numbers(0, 3)), ("w@3", Numbers(3, 5)));
        Assert.Contains("has 5 of the 6 numbers of w", Refusal(6));
    }

    [Theory]
    [InlineData("training-00001-of-x.safetensors")]
    [InlineData("training-00001-of-00000.safetensors")]
    [InlineData("training-00001-of-00001.safetensors")]
    [InlineData("training-00001-of-other-00002.safetensors")]
    public void A_stray_file_is_refused_by_name(string name)
    {
        File.WriteAllBytes(folder[name], []);
        Assert.Contains($"{name}: no file of a checkpoint", Assert.Throws<InputException>(() => TrainingTensors.Open(folder.Path)).Message);
    }

    [Fact]
    public void Files_of_two_runs_are_refused()
    {
        foreach (var name in (string[])["training-00001-of-00002.safetensors", "training-00001-of-00004.safetensors"])
            File.WriteAllBytes(folder[name], []);
        Assert.Contains("files of two runs", Assert.Throws<InputException>(() => TrainingTensors.Open(folder.Path)).Message);
    }

    private static Tensor Numbers(int begin, int end) => torch.arange(begin, end, ScalarType.Float32);

    // A part a rank.
    private void Write(params (string Name, Tensor Value)[] parts)
    {
        for (var rank = 0; rank < parts.Length; rank++) TrainingTensors.Write(folder.Path, [parts[rank]], rank, parts.Length);
    }

    private string Refusal(int count)
    {
        using var file = TrainingTensors.Open(folder.Path);
        return Assert.Throws<InputException>(() => file.ReadInto("w@0", zeros(count))).Message;
    }
}
