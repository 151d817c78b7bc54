using Transformer.Comparison;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Runs;

namespace Transformer.Tests.Comparison;

public sealed class MatchingTests
{
    private const string Recipe = "shakespeare-char-nanogpt";

    [Theory]
    [InlineData(MatchKind.Parameters, "model.attention={kind: softmax, heads: 4},{kind: linear, heads: 4}")]
    [InlineData(MatchKind.Flops, "model.attention={kind: softmax, heads: 4},{kind: linear, heads: 4}")]
    [InlineData(MatchKind.Parameters, "model.attention={kind: softmax, heads: 4},{kind: latent, heads: 4, kv_rank: 64, rope_width: 0}")]
    [InlineData(MatchKind.Parameters, "model.mlp.kind=gelu,swiglu")]
    [InlineData(MatchKind.Flops, "model.mlp={kind: gelu},{kind: mixture, experts: 4, active: 2, expert: {kind: gelu}}")]
    [InlineData(MatchKind.Parameters, "model.mlp={kind: gelu},{kind: mixture, experts: 4, active: 1, expert: {kind: gelu}}")]
    [InlineData(MatchKind.Parameters, "model.layers=4,6,2")]
    [InlineData(MatchKind.Parameters, "model.width=128,96")]
    [InlineData(MatchKind.Parameters, "model.mlp={kind: gelu},{kind: none}")]
    [InlineData(MatchKind.Flops, "model.mlp.hidden=512,384")]
    [InlineData(MatchKind.Parameters, "model.tied_head=true,false")]
    public void Designs_are_made_equal_within_one_percent_by_what_is_not_varied(MatchKind kind, string vary)
    {
        var plan = Plan(kind, vary);
        foreach (var cost in plan.Costs)
        {
            var ratio = kind == MatchKind.Parameters ? (double)cost.Parameters / plan.Costs[0].Parameters
                : cost.FlopsPerToken / plan.Costs[0].FlopsPerToken;
            Assert.InRange(ratio, 0.99, 1.01);
        }
        Assert.DoesNotContain(plan.Unfair.SelectMany(unfair => unfair), unfair =>
            unfair.Key == (kind == MatchKind.Parameters ? "parameters" : "FLOPs"));
        var varied = plan.Request.Variations[0];
        Assert.Equal(varied.Values.Count, plan.Designs.Select(design => design.Config.Model).Distinct().Count());
    }

    [Fact]
    public void A_varied_width_is_never_adjusted()
    {
        var plan = Plan(MatchKind.Parameters, "model.width=128,96");
        Assert.Equal([128, 96], plan.Designs.Select(design => design.Config.Model.Width));
        Assert.Contains("MLP's hidden width", plan.Designs[1].Adjustments[0]);
    }

    [Fact]
    public void What_cannot_be_made_equal_is_refused_with_the_nearest()
    {
        var request = Request(MatchKind.Parameters) with
        {
            Variations = [Variation.Parse("model.width=128,32"), Variation.Parse("model.mlp.hidden=512")],
        };
        var refusal = Assert.Throws<InputException>(() => AblationPlan.Of(request, TestContext.Current.CancellationToken));
        Assert.Contains("cannot be made equal", refusal.Message);
        Assert.Contains("--match none", refusal.Message);
    }

    // A machine on which SwiGLU's operations take half as long again as others, beside a fixed time.
    [Fact]
    public void Time_is_matched_by_measuring_again_after_each_change()
    {
        var config = ConfigFile.Load(Recipe, []);
        using var data = new DataSets();
        var reference = Transformer.Training.Trainer.Resolve(config, data.Of(config));
        var other = reference with { Model = reference.Model with { Mlp = new SwiGluMlpConfig { Hidden = 640 } } };
        var measured = 0;
        var matching = new Matching(MatchKind.Time, [], (first, second) =>
        {
            measured++;
            return Seconds(second) / Seconds(first);
        });
        var matched = matching.Match(new Design("swiglu", "swiglu", [], other, []), reference, data);
        Assert.InRange(Seconds(matched.Config) / Seconds(reference), 0.95, 1.05);
        Assert.InRange(measured, 2, 9);
        Assert.Contains("time", matched.Adjustments[^1]);

        double Seconds(RunConfig run) =>
            1e9 + DesignCost.Of(run, data.Of(run)).FlopsPerToken * (run.Model.Mlp is SwiGluMlpConfig ? 1500 : 1000);
    }

    [Fact]
    public void Steps_of_two_runs_are_timed_in_turn()
    {
        var config = ConfigFile.Load(Recipe, ["training.batch_size=2"]);
        using var data = Dataset.Open(config.Data);
        var small = Transformer.Training.Trainer.Resolve(config, data);
        var large = small with { Model = small.Model with { Layers = 12 } };
        Assert.InRange(StepTime.Ratio((small, data), (large, data), threads: 1, TestContext.Current.CancellationToken), 1.5, 6);
    }

    private static AblationPlan Plan(MatchKind kind, string vary) =>
        AblationPlan.Of(Request(kind) with { Variations = [Variation.Parse(vary)] });

    private static AblationRequest Request(MatchKind kind) => new() { Source = Recipe, Match = kind, Threads = 1 };
}
