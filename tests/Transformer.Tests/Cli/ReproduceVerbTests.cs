using Transformer.Cli;
using Transformer.Reproductions;

namespace Transformer.Tests.Cli;

public class ReproduceVerbTests
{
    [Fact]
    public async Task Without_a_name_the_experiments_are_listed()
    {
        var run = await CliRun.Of("reproduce");
        Assert.Equal(0, run.Code);
        Assert.Matches(@"residual-gradients +0\.1 min +At initialization .*Xiong et al\. 2020", run.Output);
        var listed = (await CliRun.Of("reproduce --json")).Json.AsArray();
        Assert.Equal(Published.Rows.Select(row => row.Name), listed.Select(row => (string?)row!["name"]));
        Assert.Equal("at least 0.99", (string?)listed.Single(row => (string?)row!["name"] == "mqar")!["figures"]![0]!["bound"]);
    }

    [Fact]
    public async Task Residual_gradients_come_near_the_published_slopes()
    {
        var result = (await CliRun.Of("reproduce residual-gradients --table --json --seed 7")).Json;
        Near.Equal(-0.5, (double)result["pre_norm_slope"]!, 0.1);
        Near.Equal(0, (double)result["post_norm_slope"]!, 0.1);
        Assert.Equal([2, 4, 8, 16, 32], result["rows"]!.AsArray().Select(row => (int)row!["layers"]!));
        Assert.All(result["rows"]!.AsArray(), row => Assert.True((double)row!["pre_norm"]! > 0 && (double)row["post_norm"]! > 0));
    }

    [Fact]
    public async Task Associative_retrieval_answers_for_the_rules_and_keys_that_are_asked_for()
    {
        var results = (await CliRun.Of("reproduce associative-retrieval --rule elu --rule dpfp1 --keys 5 --json")).Json.AsArray();
        Assert.Equal(["elu", "dpfp1"], results.Select(result => (string?)result!["rule"]));
        Assert.All(
            results, result => Assert.Equal((5, false, null), ((int)result!["keys"]!, (bool)result["replacement"]!, result["published"])));
        Assert.All(results, result => Assert.InRange((double)result!["loss"]!, 0, 0.001));
    }

    [Fact]
    public async Task Parity_has_a_curve_for_every_seed_without_and_with_negative_eigenvalues()
    {
        var results = (await CliRun.Of("reproduce parity --steps 2 --seeds 2 --seed 5 --convolution-width 2 --json")).Json.AsArray();
        Assert.Equal(
            [(false, 5), (false, 6), (true, 5), (true, 6)],
            results.Select(result => ((bool)result!["negative_eigenvalues"]!, (int)result["seed"]!)));
        Assert.All(results, result => Assert.Equal(
            [40, 64, 128, 256], result!["curve"]!.AsArray().Select(point => (int)point!["length"]!)));
        Assert.Matches(@"-1 to 1 +5 +0\.\d{4}", (await CliRun.Of("reproduce parity --steps 1 --seeds 1 --seed 5")).Output);
    }

    [Fact]
    public async Task An_experiment_with_a_folder_is_judged_and_its_result_kept_there()
    {
        using var temporary = new TemporaryFolder();
        var line = $"reproduce residual-gradients --out {temporary.Path} --seed 7 --json";
        var run = await CliRun.Of(line);
        Assert.Equal((0, 7, true), (run.Code, (int)run.Json["seed"]!, (bool)run.Json["holds"]!));
        Assert.Equal(run.Output, (await CliRun.Of(line)).Output);
        var other = await CliRun.Of($"reproduce residual-gradients --out {temporary.Path}");
        Assert.Equal((CommandLine.Refused, ""), (other.Code, other.Output));
        Assert.Contains("Choose another folder with --out", other.Error);
    }

    [Fact]
    public async Task A_row_in_a_process_of_its_own_gives_the_same_result()
    {
        using var temporary = new TemporaryFolder();
        var row = Published.Rows.Single(row => row.Name == "residual-gradients");
        var lines = new List<string>();
        var child = await ReproduceAll.InChild(row, temporary.Path, lines.Add, TestContext.Current.CancellationToken);
        Assert.Contains("residual-gradients: arm 1 of 1, slopes", lines);
        Assert.Equal(child.Figures, row.Run(temporary.Path, cancellation: TestContext.Current.CancellationToken).Figures);

        Directory.Delete(row.FolderIn(temporary.Path), recursive: true);
        temporary.Write("runs/residual-gradients", "a file in the way");
        var failure = await Assert.ThrowsAsync<InvalidOperationException>(
            () => ReproduceAll.InChild(row, temporary.Path, lines.Add, TestContext.Current.CancellationToken));
        Assert.Contains("Choose another folder", failure.Message);
    }

    [Theory]
    [InlineData("reproduce --out somewhere", "--out and --jobs go with --all")]
    [InlineData("reproduce --all --jobs 0", "--jobs: found 0, expected a whole number from 1 to 1024")]
    [InlineData("reproduce --all mqar", "--all and --jobs go without mqar")]
    [InlineData("reproduce parity --steps 3 --out somewhere", "--steps: goes without --out")]
    [InlineData("reproduce parity --seeds 0", "--seeds: found 0, expected a whole number from 1 to")]
    [InlineData("reproduce parity --convolution-width 1", "--convolution-width: found 1, expected 2 or more, or 0 for none")]
    [InlineData("reproduce associative-retrieval --rule ell", "--rule")]
    [InlineData("reproduce associative-retrieval --keys 0", "--keys: found 0, expected a whole number from 1 to")]
    [InlineData("reproduce residual-gradiants", "did you mean residual-gradients?")]
    [InlineData("reproduce residual-gradients --sed 3", "did you mean --seed?")]
    public Task A_wrong_request_is_refused(string line, string message) => CliRun.Refuses(line, message);
}
