using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Tests.Runs;

public sealed class OptimizerConfigTests
{
    private static readonly AdamWConfig Inner = new MuonConfig { LearningRate = 0.01 }.Adamw;

    [Fact]
    public void The_AdamW_of_muon_may_be_named_by_its_kind() => Assert.Equal(Inner, AdamWOfMuon("{kind: adamw}"));

    [Fact]
    public void The_AdamW_of_muon_keeps_its_defaults_where_some_keys_are_given()
    {
        Assert.Equal(Inner with { StatePrecision = StatePrecision.Bf16 }, AdamWOfMuon("{state_precision: bf16}"));
        Assert.Equal(Inner with { LearningRate = 0.5 }, AdamWOfMuon("{kind: adamw, learning_rate: 0.5}"));
    }

    [Fact]
    public void The_AdamW_of_muon_can_be_no_other_optimizer()
    {
        var refused = Assert.Throws<InputException>(() => AdamWOfMuon("{kind: muon}"));
        Assert.Contains("training.optimizer.adamw.kind: found the text \"muon\", expected adamw", refused.Message);
    }

    [Fact]
    public void AdamW_alone_still_needs_a_rate()
    {
        var refused = Assert.Throws<InputException>(() => ConfigFile.Load("names", ["training.optimizer={kind: adamw}"]));
        Assert.Contains("training.optimizer.learning_rate: missing", refused.Message);
    }

    private static AdamWConfig AdamWOfMuon(string adamw)
    {
        var run = ConfigFile.Load("names", [$"training.optimizer={{kind: muon, learning_rate: 0.01, adamw: {adamw}}}"]);
        return Assert.IsType<MuonConfig>(run.Training.Optimizer).Adamw;
    }
}
