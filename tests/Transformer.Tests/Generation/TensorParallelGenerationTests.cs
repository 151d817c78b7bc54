using Transformer.Generation;
using Transformer.Tests.Distributed;

namespace Transformer.Tests.Generation;

/// <summary>Ranks that share a model write one text.</summary>
public sealed class TensorParallelGenerationTests
{
    public static TheoryData<string> Kinds => TensorCases.Kinds;

    [Theory, MemberData(nameof(Kinds))]
    public void Ranks_that_write_together_write_what_one_process_does_greedily_and_by_chance(string kind)
    {
        var (_, ranks) = TensorCases.Models[kind];
        int[][] prompts = [[1, 5, 2, 7, 3], [4, 4]];
        foreach (var temperature in (double[])[0, 1])
        {
            var options = new SamplingOptions { Temperature = temperature, Seed = 3, MaxTokens = 9 };    // past the context of 12 for the first prompt
            using var one = TensorCases.Draw(kind, rank: 0);
            var expected = new TextGenerator(one).Generate(prompts, options, cancellation: TestContext.Current.CancellationToken).Select(text => text.Tokens).ToArray();
            var found = new int[ranks][][];
            TensorCases.OnShares(kind, ranks, (rank, share) => found[rank] = [.. new TextGenerator(share).Generate(prompts, options).Select(text => text.Tokens.ToArray())]);
            Assert.All(found, tokens => Assert.Equal(expected, tokens));
        }
    }

    [Fact]
    public void Ranks_end_a_text_at_the_same_token_where_only_one_of_them_is_asked_to()
    {
        var found = new GeneratedText[2];
        TensorCases.OnShares("rope", 2, (rank, share) =>
        {
            using var interruption = new CancellationTokenSource();
            var tokens = 0;
            found[rank] = new TextGenerator(share).Generate([[1, 2]], new SamplingOptions { MaxTokens = 9 }, onToken: (_, _) =>
            {
                if (++tokens == 4 && rank == 1) interruption.Cancel();
            }, cancellation: interruption.Token)[0];
        });
        Assert.All(found, text => Assert.Equal((FinishReason.Cancelled, 4), (text.FinishReason, text.Tokens.Count)));
    }
}
