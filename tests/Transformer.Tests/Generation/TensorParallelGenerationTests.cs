using Transformer.Generation;
using Transformer.Inference.Torch;
using Transformer.Tests.Distributed;

namespace Transformer.Tests.Generation;

/// <summary>Ranks that share a model generate one text.</summary>
public sealed class TensorParallelGenerationTests
{
    public static TheoryData<string> Kinds => TensorCases.Kinds;

    [Theory, MemberData(nameof(Kinds))]
    public void Ranks_that_share_a_model_generate_what_one_process_does_greedily_and_by_chance(string kind)
    {
        var (_, ranks) = TensorCases.Models[kind];
        int[][] prompts = [[1, 5, 2, 7, 3], [4, 4]];
        foreach (var temperature in (double[])[0, 1])
        {
            // past the context of 12 for the first prompt
            var options = new SamplingOptions { Temperature = temperature, Seed = 3, MaxTokens = 9 };
            using var one = TensorCases.Draw(kind, rank: 0);
            var expected = one.Generate(prompts, options, cancellation: TestContext.Current.CancellationToken).Select(text => text.Tokens)
                .ToArray();
            int[][]? found = null;
            TensorCases.OnShares(kind, ranks, (rank, share) =>
            {
                var texts = share.Generate(prompts, options);
                if (rank == 0) found = [.. texts.Select(text => text.Tokens.ToArray())];
                else Assert.Empty(texts);
            });
            Assert.Equal(expected, found);
        }
    }

    [Fact]
    public void Rank_0_alone_is_asked_to_end_and_the_others_follow()
    {
        GeneratedText? found = null;
        TensorCases.OnShares("rope", 2, (rank, share) =>
        {
            using var interruption = new CancellationTokenSource();
            var tokens = 0;
            var texts = share.Generate([[1, 2]], new SamplingOptions { MaxTokens = 9 }, onToken: (_, _) =>
            {
                if (++tokens == 4) interruption.Cancel();
            }, cancellation: interruption.Token);
            if (rank == 0) found = texts[0];
        });
        Assert.Equal((FinishReason.Cancelled, 4), (found!.FinishReason, found.Tokens.Count));
    }

    [Fact]
    public void What_goes_wrong_on_rank_0_outside_of_the_model_lets_the_others_go()
    {
        var failure = Assert.Throws<InvalidDataException>(() => TensorCases.OnShares("rope", 2, (rank, share) =>
            share.Generate(
                [[1, 2]], new SamplingOptions { MaxTokens = 9 }, onToken: (_, _) => throw new InvalidDataException("a callback failed"))));
        Assert.Equal("a callback failed", failure.Message);
    }
}
