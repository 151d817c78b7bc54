namespace Transformer.Tests.Cli;

public class ReproduceVerbTests
{
    [Fact]
    public async Task Without_a_name_the_experiments_are_listed()
    {
        var run = await CliRun.Of("reproduce");
        Assert.Equal(0, run.Code);
        Assert.Matches(@"residual-gradients +How gradients", run.Output);
        Assert.Contains("residual-gradients", (await CliRun.Of("reproduce --json")).Json.AsArray().Select(experiment => (string?)experiment!["name"]));
    }

    [Fact]
    public async Task Residual_gradients_come_near_the_published_slopes()
    {
        var result = (await CliRun.Of("reproduce residual-gradients --json --seed 7")).Json;
        Near.Equal(-0.5, (double)result["pre_norm_slope"]!, 0.1);
        Near.Equal(0, (double)result["post_norm_slope"]!, 0.1);
        Assert.Equal([2, 4, 8, 16, 32], result["rows"]!.AsArray().Select(row => (int)row!["layers"]!));
        Assert.All(result["rows"]!.AsArray(), row => Assert.True((double)row!["pre_norm"]! > 0 && (double)row["post_norm"]! > 0));
    }

    [Theory]
    [InlineData("reproduce residual-gradiants", "did you mean residual-gradients?")]
    [InlineData("reproduce residual-gradients --sed 3", "did you mean --seed?")]
    public Task A_wrong_request_is_refused(string line, string message) => CliRun.Refuses(line, message);
}
