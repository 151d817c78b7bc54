using Transformer.Distributed;
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

    [Theory]
    [InlineData(0, 1, 1, -100)]
    [InlineData(0, 1, 7, -100)]
    [InlineData(0.1, 1, 4, -100)]
    [InlineData(0.1, 0.25, 10, -1)]
    public void Logits_in_chunks_have_the_losses_and_the_gradients_of_whole_ones(double zLoss, double scale, int rows, long ignored)
    {
        const int V = 17, C = 6;
        manual_seed(1);
        var targets = randint(0, V, [2, 10]);
        targets[0, 3] = targets[1, 9] = ignored;
        var (hidden, head) = (randn(2, 10, C), randn(V, C));
        var whole = Of(logitBytes: 1 << 20);
        var chunks = Of(logitBytes: rows * V * sizeof(float));
        Near.Equal(whole.CrossEntropy, chunks.CrossEntropy, 1e-6, "cross-entropy");
        Near.Equal(whole.Total, chunks.Total, 1e-6, "loss");
        Near.Equal(whole.Hidden, chunks.Hidden, 1e-6, "gradient of the hidden vectors");
        Near.Equal(whole.Head, chunks.Head, 1e-6, "gradient of the head");

        // The loss is one of several batches, so that its gradient is not one.
        (double CrossEntropy, double Total, Tensor Hidden, Tensor Head) Of(long logitBytes)
        {
            var (x, weight) = (hidden.clone().requires_grad_(true), head.clone().requires_grad_(true));
            var (crossEntropy, total) = LanguageModelLoss.OfHead(x * 1, weight, targets, zLoss, scale, ignored, logitBytes);
            (total * 0.3).backward();
            return (crossEntropy.item<float>(), total.item<float>(), x.grad!, weight.grad!);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void In_chunks_too_what_is_frozen_has_no_gradient(bool isHeadFrozen)
    {
        var (hidden, head) = (randn(1, 4, 3).requires_grad_(isHeadFrozen), randn(5, 3).requires_grad_(!isHeadFrozen));
        LanguageModelLoss.OfHead(hidden, head, randint(0, 5, [1, 4]), logitBytes: 40).Total.backward();
        Assert.Equal((isHeadFrozen, !isHeadFrozen), (hidden.grad is not null, head.grad is not null));
    }

    [Fact]
    public void Logits_are_whole_as_long_as_they_are_small()
    {
        Assert.Equal(2048, LanguageModelLoss.RowsAtOnce(tokens: 2048, vocabulary: 65));
        Assert.Equal(166, LanguageModelLoss.RowsAtOnce(tokens: 2048, vocabulary: 50_257));
        Assert.Equal(1, LanguageModelLoss.RowsAtOnce(tokens: 2048, vocabulary: 1 << 30));
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
