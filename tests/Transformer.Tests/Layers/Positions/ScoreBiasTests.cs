using System.Text.Json;
using Transformer.Configuration;
using Transformer.Layers.Positions;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Positions;

// B batch · T queries · S keys · H heads · D head width

public sealed class ScoreBiasTests
{
    private const double Scale = 0.5;

    private static readonly Dictionary<string, Func<ScoreBias>> Biases = new()
    {
        ["alibi"] = () => new AlibiBias(heads: 3),
        ["t5"] = () => new T5Bias(new() { Buckets = 8, MaximumDistance = 20 }, heads: 3),
        ["relative"] = () => new RelativeBias(new() { Maximum = 6 }, headWidth: 4, Scale),
    };

    public static TheoryData<string> Kinds => [.. Biases.Keys];

    [Fact]
    public void Alibi_s_slopes_are_the_reference_s_for_every_number_of_heads()
    {
        using var golden = JsonDocument.Parse(File.ReadAllText(Golden.PathOf("positions/alibi_slopes.json")));
        var cases = golden.RootElement.EnumerateObject().ToList();
        Assert.Contains(cases, slopes => slopes.Name == "12");    // no power of two
        foreach (var slopes in cases)
        {
            var (expected, found) = (
                slopes.Value.EnumerateArray().Select(slope => slope.GetDouble()).ToArray(),
                AlibiPositionConfig.Slopes(int.Parse(slopes.Name)).ToArray());
            Assert.Equal(expected.Length, found.Length);
            for (var h = 0; h < expected.Length; h++) Near.Equal(expected[h], found[h], 1e-12, $"slope {h} of {slopes.Name}");
        }
    }

    [Theory]
    [InlineData(32, 128)]
    [InlineData(16, 64)]
    public void T5_s_buckets_are_the_reference_s(int buckets, int maximum)
    {
        var golden = Golden.Read("positions/t5_buckets.safetensors");
        var config = new T5PositionConfig { Buckets = buckets, MaximumDistance = maximum };
        Assert.Equal(golden[$"causal_buckets{buckets}_max{maximum}"].data<long>(), golden["distance"].data<long>().Select(config.BucketOf));
    }

    [Theory, MemberData(nameof(Kinds))]
    public void A_bias_is_its_formula_written_as_loops(string kind)
    {
        using var bias = Biases[kind]();
        var q = randn(2, 3, 30, 4);
        var found = bias.call(q, arange(30), arange(30));
        var at = bias.named_parameters().Select(parameter => parameter.parameter).FirstOrDefault();
        var slopes = AlibiPositionConfig.Slopes(3).ToArray();
        for (var h = 0; h < 3; h++)
            for (var i = 0; i < 30; i += 3)
                for (var j = 0; j <= i; j += 2)
                {
                    double expected = 0;
                    if (kind == "alibi") expected = -slopes[h] * (i - j);
                    if (kind == "t5") expected = at![Bucket(i - j), h].item<float>();
                    if (kind == "relative")
                        for (var d = 0; d < 4; d++)
                            expected += Scale * q[^1, h, i, d].item<float>() * at![Math.Min(i - j, 6), d].item<float>();
                    Near.Equal(expected, found[^1, h, i, j].item<float>(), 1e-5, $"head {h}, query {i}, key {j}");
                }

        // The paper's formula for 8 buckets up to 20: 4 + floor(4 ln(n / 4) / ln 5), at most 7.
        static int Bucket(int n) => n < 4 ? n : n switch { < 6 => 4, < 9 => 5, < 14 => 6, _ => 7 };
    }

    [Theory, MemberData(nameof(Kinds))]
    public void A_bias_depends_on_the_distance_only(string kind)
    {
        using var bias = Biases[kind]();
        var q = randn(2, 3, 15, 4);
        Near.Equal(bias.call(q, arange(15), arange(15)), bias.call(q, arange(1000, 1015), arange(1000, 1015)), 0);
    }

    [Theory, MemberData(nameof(Kinds))]
    public void Blocks_of_a_bias_are_parts_of_the_whole(string kind)
    {
        using var bias = Biases[kind]();
        var q = randn(2, 3, 30, 4);
        var whole = bias.call(q, arange(30), arange(30));
        var block = bias.call(q.narrow(2, 10, 12), arange(10, 22), arange(5, 18));
        Near.Equal(whole.narrow(2, 10, 12).narrow(3, 5, 13), block, 1e-6, "block");

        // Rows at different positions.
        var queries = stack([arange(10, 22), arange(3, 15)]);
        var keys = stack([arange(5, 18), arange(0, 13)]);
        var apart = bias.call(q.narrow(2, 10, 12), queries, keys);
        Assert.Equal([2, 3, 12, 13], apart.shape);
        Near.Equal(block[0], apart[0], 1e-6, "first row");
        Near.Equal(bias.call(q[1].unsqueeze(0).narrow(2, 10, 12), arange(3, 15), arange(0, 13))[0], apart[1], 1e-6, "second row");
    }

    [Theory]
    [InlineData("t5", 8 * 3)]
    [InlineData("relative", 7 * 4)]
    public void A_table_has_a_gradient_in_every_place_that_a_distance_reaches(string kind, int numbers)
    {
        using var bias = Biases[kind]();
        var table = bias.named_parameters().Single().parameter;
        (bias.call(randn(2, 3, 30, 4), arange(30), arange(30)) * randn(30, 30)).sum().backward();
        Assert.Equal(numbers, table.numel());
        Assert.All(table.grad!.data<float>().ToArray(), slope => Assert.NotEqual(0, slope));
    }
}
