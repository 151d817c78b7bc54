using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Model;

public sealed class LanguageModelLossTests
{
    [Theory]
    [InlineData(-100)]
    [InlineData(-1)]
    public void Both_losses_are_their_formulas_over_the_counted_tokens(long ignored)
    {
        var logits = 3 * randn(2, 3, 5);
        long[] labels = [4, ignored, 0, ignored, 2, 1];
        var (crossEntropy, squaredPartition) = (0.0, 0.0);
        for (var i = 0; i < labels.Length; i++)
        {
            if (labels[i] == ignored) continue;
            var row = logits.view(6, 5)[i].data<float>().ToArray();
            var logPartition = Math.Log(row.Sum(logit => Math.Exp(logit)));
            crossEntropy += logPartition - row[labels[i]];
            squaredPartition += logPartition * logPartition;
        }
        var targets = tensor(labels, [2, 3]);
        Near.Equal(crossEntropy / 4, LanguageModelLoss.CrossEntropy(logits, targets, ignored).item<float>(), 1e-5, "mean");
        Near.Equal(crossEntropy, LanguageModelLoss.CrossEntropy(logits, targets, ignored, nn.Reduction.Sum).item<float>(), 1e-5, "sum");
        Near.Equal(squaredPartition / 4, LanguageModelLoss.SquaredPartition(logits, targets, ignored).item<float>(), 2e-5, "z-loss");
    }

    [Fact]
    public void Ignored_tokens_have_no_gradient()
    {
        var logits = randn(1, 3, 5).requires_grad_(true);
        var targets = tensor((long[])[1, -100, 2], [1, 3]);
        (LanguageModelLoss.CrossEntropy(logits, targets) + LanguageModelLoss.SquaredPartition(logits, targets)).backward();
        var sizes = logits.grad!.abs().sum(-1);
        Assert.Equal(0, sizes[0, 1].item<float>());
        Assert.True(sizes[0, 0].item<float>() > 0 && sizes[0, 2].item<float>() > 0);
    }
}
