using Transformer.Benchmarks;

namespace Transformer.Tests.Cli;

public class BenchVerbTests
{
    private const string Tiny =
        "--rounds 1 --set model.layers=1 --set model.width=8 --set model.attention.heads=2 --set model.context_length=8";

    [Fact]
    public async Task Bench_train_gives_the_numbers_of_the_contract_and_they_belong_together()
    {
        var result = (await CliRun.Of($"bench train --json {Tiny} --set training.batch_size=2")).Json;
        var ratio = (double)result["model_flops_per_second"]! / (double)result["matrix_flops_per_second"]!;
        Assert.Equal(ratio, (double)result["utilization"]!, 1e-9 * ratio);
        Assert.InRange((double)result["utilization"]!, (double)result["utilization_minimum"]!, (double)result["utilization_maximum"]!);
        // 8 x 65 in the head, 4 x 8 x 8 in attention, 3 x 8 x 32 in the gated MLP; a token of 8 attends with 6 x 8 x 8 more.
        Assert.Equal(6 * (520 + 256 + 768) + 384, (double)result["model_flops_per_second"]! / (double)result["tokens_per_second"]!, 1e-6);
        Assert.True((double)result["tokens_per_second"]! > 0);
    }

    [Fact]
    public async Task Bench_decode_gives_the_numbers_of_the_contract_and_they_belong_together()
    {
        var result = (await CliRun.Of($"bench decode --json {Tiny} --set model.vocabulary_size=65")).Json;
        var ratio = (double)result["weight_bytes_per_second"]! / (double)result["memory_bytes_per_second"]!;
        Assert.Equal(ratio, (double)result["utilization"]!, 1e-9 * ratio);
        Assert.Equal((4, 4), ((int)result["prompt_tokens"]!, (int)result["generated_tokens"]!));
        // As gpt-mini: 8 x 65 in the head, 4 x 8 x 8 in attention and 2 x 8 x 32 in the MLP, of 4 bytes each.
        Assert.Equal(4 * (520 + 256 + 512), (double)result["weight_bytes_per_second"]! / (double)result["tokens_per_second"]!, 1e-6);
        Assert.True((double)result["first_token_seconds"]! > 0);
    }

    [Fact]
    public async Task Packed_weights_are_counted_by_the_bytes_that_a_step_of_all_sequences_reads()
    {
        var result = (await CliRun.Of($"bench decode --json {Tiny} --set model.vocabulary_size=65 --quantize q4 --sequences 3")).Json;
        Assert.Equal(("q4", 3), ((string)result["quantize"]!, (int)result["sequences"]!));
        Assert.Equal(
            18.0 / 32 * (520 + 256 + 512) / 3, (double)result["weight_bytes_per_second"]! / (double)result["tokens_per_second"]!, 1e-6);
    }

    [Theory]
    [InlineData("standard", "none", 4 * (520 + 256 + 512))]
    [InlineData("fused", "q4", 9.0 / 8 * 520 + 5.0 / 8 * (256 + 512))]
    public async Task ONNX_Runtime_is_measured_by_the_same_numbers(string operators, string quantize, double bytes)
    {
        var result = (await CliRun.Of($"bench decode --json {Tiny} --set model.vocabulary_size=65 --operators {operators} --quantize " +
            $"{quantize} --prompt-tokens 5")).Json;
        Assert.Equal((5, 3), ((int)result["prompt_tokens"]!, (int)result["generated_tokens"]!));
        Assert.Equal(bytes, (double)result["weight_bytes_per_second"]! / (double)result["tokens_per_second"]!, 1e-6);
    }

    [Fact]
    public async Task Bench_scaling_gives_a_row_for_each_mixer_and_length()
    {
        var rows = (await CliRun.Of("bench scaling --json --mixer full --length 32 --length 64 --set model.width=12")).Json.AsArray();
        Assert.Equal([("full", 32), ("full", 64)], rows.Select(row => ((string)row!["mixer"]!, (int)row["length"]!)));
        Assert.All(rows, row => Assert.True((double)row!["step_seconds"]! > 0 && (double)row["decode_seconds"]! > 0));
        Assert.Equal([2 * 12 * 32 * 4, 2 * 12 * 64 * 4], rows.Select(row => (long)row!["state_bytes"]!));
    }

    [Fact]
    public async Task Bench_scaling_shows_layers_as_they_are_written()
    {
        const string layers = "[1,{\"shorten\":2,\"layers\":1}]";
        var run = await CliRun.Of($"bench scaling --mixer full --length 32 --layers {layers} --layers 2 --set model.width=12");
        Assert.Contains("full, layers 2 ", run.Output, StringComparison.Ordinal);
        Assert.Contains("shorten", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_report_for_people_names_rates_and_spread()
    {
        var run = await CliRun.Of($"bench train {Tiny} --set training.batch_size=1");
        Assert.Contains("tokens/s", run.Output);
        Assert.Contains("matrix rate", run.Output);
        Assert.Matches(@"utilization .*\(from .* to .*\)", run.Output);
    }

    [Theory]
    [InlineData("bench train --rounds 0", "--rounds: found 0, expected a whole number from 1 to")]
    [InlineData("bench train --threads 0", "--threads: found 0, expected a whole number from 1 to")]
    [InlineData("bench train nams", "did you mean the recipe names?")]
    [InlineData("bench train --set model.widht=3", "did you mean model.width?")]
    [InlineData("bench decode --set model.context_length=2", "model.context_length: found 2")]
    [InlineData("bench decode --quantize q5", "--quantize: found q5, expected one of none, bf16, fp16, q8, q4")]
    [InlineData("bench decode --sequences 0", "--sequences: found 0, expected a whole number from 1 to")]
    [InlineData("bench decode --set model.context_length=8 --prompt-tokens 7", "--prompt-tokens: found 7, expected 1 to 6")]
    [InlineData("bench decode --operators fast", "--operators: found fast, expected standard or fused")]
    [InlineData("bench decode --operators fused --quantize bf16", "ONNX Runtime computes in float32 on a CPU")]
    [InlineData("bench decode . --set model.layers=1", "which --set cannot change")]
    [InlineData("bench decode .", "holds no model")]
    [InlineData("bench scaling --mixer ful", "--mixer: found ful, expected one of full")]
    [InlineData("bench scaling --length 16", "model.context_length: found 16")]
    public Task A_wrong_request_is_refused(string line, string message) => CliRun.Refuses(line, message);

    [Fact]
    public void The_middle_of_an_even_number_of_measurements_lies_between_two_of_them()
    {
        Assert.Equal(new Spread(2, 1, 9), Spread.Of([9, 1, 2]));
        Assert.Equal(new Spread(2.5, 1, 9), Spread.Of([9, 3, 1, 2]));
        Assert.Equal(new Spread(4, 4, 4), Spread.Of([4]));
    }
}
