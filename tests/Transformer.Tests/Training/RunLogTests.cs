using Transformer.Training;

namespace Transformer.Tests.Training;

public sealed class RunLogTests : IDisposable
{
    private const string OfAnEarlierVersion =
        """{"step":1,"tokens":100,"train_loss":2.5,"learning_rate":0.1,"tokens_per_second":10,"utilization":0.5,"seconds":1}""";

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void A_log_of_an_earlier_version_is_read_and_has_no_cost()
    {
        var line = Assert.Single(MetricsLog.Read(folder.Write("metrics.jsonl", OfAnEarlierVersion + "\n")));
        Assert.Equal((1, 100L, 2.5), (line.Step, line.Tokens, line.TrainLoss));
        Assert.Equal(new RunLog.Summary(2.5, null, null), RunLog.Summarize([line]));
    }

    [Fact]
    public void The_cost_of_a_token_is_the_mean_over_the_tokens_whose_cost_is_known()
    {
        Metrics[] lines = [Line(100, null, null), Line(200, 2, null), Line(500, 4, 8)];
        Assert.Equal(new RunLog.Summary(null, (100 * 2.0 + 300 * 4) / 400, 8), RunLog.Summarize(lines));
    }

    private static Metrics Line(long tokens, double? coreSeconds, double? joules) => new()
    {
        Step = 1,
        Tokens = tokens,
        LearningRate = 1,
        TokensPerSecond = 1,
        Utilization = 1,
        Seconds = 1,
        CoreSecondsPerToken = coreSeconds,
        JoulesPerToken = joules,
    };
}
