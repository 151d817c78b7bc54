using Transformer.Runs;
using Transformer.Tests.Comparison;

namespace Transformer.Tests.Runs;

public sealed class ConfigDifferenceTests
{
    [Fact]
    public void The_lowest_keys_that_differ_are_listed_and_a_part_of_another_kind_at_once()
    {
        var differences = ConfigDifference.Between(
            SampleRuns.Config(),
            SampleRuns.Config("model.attention.heads=2", "model.position={kind: alibi}", "training.gradient_clip=null"),
            SampleRuns.Config());
        Assert.Equal(["model.attention.heads", "model.position", "training.gradient_clip"], differences.Select(found => found.Key));
        Assert.Equal(["4", "2", "4"], differences[0].Values);
        Assert.Equal("""{"kind":"alibi"}""", differences[1].Values[1]);
        Assert.Equal(ConfigDifference.None, differences[2].Values[1]);
    }

    [Fact]
    public void Equal_configurations_do_not_differ() => Assert.Empty(ConfigDifference.Between(SampleRuns.Config(), SampleRuns.Config()));
}
