using Transformer.Comparison;
using Transformer.Configuration;

namespace Transformer.Tests.Comparison;

public sealed class FairnessTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    [Theory]
    [InlineData("training.precision=fp32,bf16", "training.precision")]
    [InlineData("model.context_length=64,32", "model.context_length")]
    [InlineData("training.steps=2000,1000", "training.steps")]
    [InlineData("training.batch_size=12,24", "training.batch_size")]
    [InlineData("training.gradient_accumulation=1,2", "training.gradient_accumulation")]
    [InlineData("training.stop_at_accuracy=null,0.5", "training.stop_at_accuracy")]
    [InlineData("data.sampling=random,shuffled", "data.sampling")]
    [InlineData("training.optimizer.learning_rate=1e-3,3e-3", "training.optimizer.learning_rate")]
    [InlineData("training.optimizer.kind=adamw,muon", "training.optimizer")]
    [InlineData("training.schedule.kind=cosine,linear", "training.schedule")]
    [InlineData("training.overfit_one_batch=false,true", "training.overfit_one_batch")]
    [InlineData("training.distributed.strategy=data_parallel,zero1", "training.distributed.strategy")]
    [InlineData("training.parameters=[],[{pattern: \"*\", learning_rate_scale: 0.5}]", "training.parameters")]
    [InlineData("model.layers=4,5", "parameters")]
    [InlineData("model.layers=4,5", "FLOPs")]
    [InlineData("model.mlp={kind: gelu},{kind: mixture, experts: 4, active: 1, expert: {kind: gelu}}", "parameters")]
    public void An_unfair_grid_is_flagged_by_its_key(string vary, string key)
    {
        var plan = Plan(vary);
        Assert.Empty(plan.Unfair[0]);
        Assert.Contains(key, plan.Unfair[1].Select(unfair => unfair.Key));
    }

    [Theory]
    [InlineData("training.seed=1,2", "training.seed")]
    [InlineData("data.validation_fraction=0.1,0.2", "data.validation_fraction")]
    public void A_grid_whose_figures_mean_different_things_is_refused_by_its_key(string vary, string key) =>
        Assert.Contains(key, Assert.Throws<InputException>(() => Plan(vary)).Message);

    [Fact]
    public void Other_texts_are_refused_unless_both_are_measured_on_the_same_one()
    {
        var (one, other) = (Text("one", "abcd "), Text("other", "dcba "));
        Assert.Contains("data.path", Assert.Throws<InputException>(() => Plan($"data.path={one},{other}")).Message);
        var plan = Plan($"data.path={one},{other}", $"data.validation_path={one}");
        Assert.Equal(["data.path"], plan.Unfair[1].Select(unfair => unfair.Key));
        Assert.Contains(
            "data.validation_path",
            Assert.Throws<InputException>(() => Plan($"data.validation_path={one},{other}", $"data.path={one}")).Message);
    }

    [Fact]
    public void Tokenizers_are_compared_in_bits_per_byte()
    {
        var plan = Plan("data.tokenizer={kind: character},{kind: byte}");
        Assert.Equal(Measure.BitsPerByte, plan.Measure);
        Assert.DoesNotContain("data.tokenizer", plan.Unfair[1].Select(unfair => unfair.Key));
        var inNats = Request("data.tokenizer={kind: character},{kind: byte}") with { Measure = Measure.Loss };
        Assert.Contains("data.tokenizer", AblationPlan.Of(inNats, Cancellation).Unfair[1].Select(unfair => unfair.Key));
        Assert.Equal(Measure.Loss, Plan("model.position.kind=learned,rope").Measure);
    }

    [Fact]
    public void A_sweep_gives_every_optimizer_its_own_rate()
    {
        var sweep = Sweep.Parse("training.optimizer.learning_rate=1e-3:1e-1");
        var request = Request("training.optimizer.kind=adamw,muon") with { Sweep = sweep };
        Assert.DoesNotContain("training.optimizer", AblationPlan.Of(request, Cancellation).Unfair[1].Select(unfair => unfair.Key));
    }

    [Fact]
    public void A_sweep_of_something_else_gives_none_its_own_rate()
    {
        var request = Request("training.optimizer.kind=adamw,muon") with { Sweep = Sweep.Parse("model.dropout=0.1:0.3:2") };
        Assert.Contains("training.optimizer", AblationPlan.Of(request, Cancellation).Unfair[1].Select(unfair => unfair.Key));
    }

    [Fact]
    public void Rows_of_other_tasks_are_refused_and_more_rows_to_learn_from_are_flagged()
    {
        var request = Request("data.task.pairs=4,8") with { Source = "mqar" };
        Assert.Contains("data.task.pairs", Assert.Throws<InputException>(() => AblationPlan.Of(request, Cancellation)).Message);
        request = Request("data.task.training_rows=1000,2000") with { Source = "mqar" };
        Assert.Equal(["data.task.training_rows"], AblationPlan.Of(request, Cancellation).Unfair[1].Select(unfair => unfair.Key));
    }

    [Fact]
    public void Equal_tokens_in_other_steps_are_called_so()
    {
        var request = Request("training.steps=2000,1000") with
        {
            Variations = [Variation.Parse("training.steps=2000,1000"), Variation.Parse("training.batch_size=12,24")],
        };
        var unfair = AblationPlan.Of(request, Cancellation).Unfair;
        Assert.Contains("not trained on the same number of tokens", unfair[1][0].Message);
        Assert.Equal(["training.steps", "training.batch_size"], unfair[3].Select(each => each.Key));
        Assert.All(unfair[3], each => Assert.Contains("take other steps, if on as many tokens", each.Message));
    }

    [Fact]
    public void A_law_of_sizes_is_refused_and_flagged_like_a_comparison()
    {
        var request = Request("training.seed=1,2,3,4") with { Mode = AblationMode.Scaling };
        Assert.Contains("training.seed", Assert.Throws<InputException>(() => AblationPlan.Of(request, Cancellation)).Message);
        var sizes = Request("model.width=32,64,96,128") with { Mode = AblationMode.Scaling };
        Assert.All(AblationPlan.Of(sizes, Cancellation).Unfair, Assert.Empty);
    }

    [Fact]
    public void Designs_of_equal_size_that_differ_in_the_model_alone_are_fair() =>
        Assert.Empty(Plan("model.position.kind=rope,alibi,none").Unfair.SelectMany(unfair => unfair));

    public void Dispose() => folder.Dispose();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string Text(string name, string part) => folder.Write(name, string.Concat(Enumerable.Repeat(part, 2000)));

    private static AblationPlan Plan(string vary, params string[] overrides) =>
        AblationPlan.Of(Request(vary) with { Overrides = overrides });

    private static AblationRequest Request(string vary) => new()
    {
        Source = "shakespeare-char-nanogpt",
        Variations = [Variation.Parse(vary)],
        Match = MatchKind.None,
        Threads = 1,
    };
}
