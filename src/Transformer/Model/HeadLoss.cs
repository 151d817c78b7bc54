using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Model;

// N tokens · C width · V vocabulary · n rows of a chunk

/// <summary>
/// The losses of a head whose logits are computed in chunks: those of n tokens are replaced in place by their gradient,
/// used for the gradients of the head's input and weight, and overwritten by the next chunk. The forward pass does all of
/// it, so that no product is computed twice.
/// </summary>
internal sealed class HeadLoss : autograd.MultiTensorFunction<HeadLoss>
{
    /// <inheritdoc/>
    public override string Name => nameof(HeadLoss);

    /// <param name="hidden">[N, C]</param>
    /// <param name="head">[V, C]</param>
    /// <param name="targets">[N], integers below V or <paramref name="ignored"/>.</param>
    /// <param name="ignored">The label of a token that does not count.</param>
    /// <param name="zLoss">The weight of the z-loss.</param>
    /// <param name="logitScale">What logits are multiplied by.</param>
    /// <param name="rows">n.</param>
    /// <returns>The mean cross-entropy, without gradient, and its sum with the weighted z-loss: two scalars.</returns>
    public static (Tensor CrossEntropy, Tensor Total) Apply(
        Tensor hidden, Tensor head, Tensor targets, long ignored, double zLoss, double logitScale, long rows)
    {
        var results = apply(hidden, head, targets, ignored, zLoss, logitScale, rows);
        return (results[0].detach(), results[1]);
    }

    /// <inheritdoc/>
    public override List<Tensor> forward(autograd.AutogradContext context, params object[] inputs)
    {
        using var scope = NewDisposeScope();
        var (hidden, head, targets) = (((Tensor)inputs[0]).ForMatmul(), ((Tensor)inputs[1]).ForMatmul(), (Tensor)inputs[2]);
        var (ignored, zLoss, scale, rows) = ((long)inputs[3], (double)inputs[4], (double)inputs[5], (long)inputs[6]);
        var counted = (targets != ignored).to(ScalarType.Float32).unsqueeze(1);                             // [N, 1]
        var total = counted.sum();
        var labels = targets.clamp_min(0).unsqueeze(1);                                                     // [N, 1]
        var (hiddenGradient, headGradient) = (Zeros(hidden), Zeros(head));
        var (crossEntropy, squares) = (zeros(1, ScalarType.Float64, hidden.device), zeros(1, ScalarType.Float64, hidden.device));
        for (long first = 0; first < hidden.shape[0]; first += rows)
        {
            using var chunk = NewDisposeScope();
            var count = Math.Min(rows, hidden.shape[0] - first);
            var (x, counts, label) = (hidden.narrow(0, first, count), counted.narrow(0, first, count), labels.narrow(0, first, count));
            var logits = matmul(x, head.t()).to(ScalarType.Float32).mul_(scale);                            // [n, V]
            var partition = logits.logsumexp(-1, keepdim: true);                                            // [n, 1], ln Z
            crossEntropy.add_(((partition - logits.gather(1, label)) * counts).sum());
            squares.add_((partition.square() * counts).sum());

            // Of logit v: softmax_v (1 + 2 z ln Z), less one at the label. Divided by the number of tokens only at the end, since small
            // gradients would underflow in fp16.
            var gradients = logits.sub_(partition).exp_().mul_(counts * scale * (1 + 2 * zLoss * partition))
                .scatter_add_(1, label, -scale * counts).to(head.dtype);
            hiddenGradient?.narrow(0, first, count).copy_(matmul(gradients, head));
            if (headGradient?.dtype == head.dtype) headGradient.addmm_(gradients.t(), x, 1, 1);
            else headGradient?.add_(matmul(gradients.t(), x));
        }
        foreach (var sum in new[] { hiddenGradient, headGradient, crossEntropy, squares }) sum?.div_(total);
        context.set_materialize_grads(false);
        var kept = new[] { hiddenGradient, headGradient }.OfType<Tensor>();
        context.save_for_backward([.. kept.Select(gradient => gradient.MoveToOuterDisposeScope())]);
        context.save_data("hidden", hiddenGradient is not null);
        context.save_data("head", headGradient is not null);
        return [Scalar(crossEntropy), Scalar(crossEntropy + zLoss * squares)];

        // Sums over chunks are kept in fp32 whatever the products are computed in.
        static Tensor? Zeros(Tensor input) => input.requires_grad ? zeros(input.shape, ScalarType.Float32, input.device) : null;

        static Tensor Scalar(Tensor x) => x.sum().to(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext context, List<Tensor> gradients)
    {
        using var scope = NewDisposeScope();
        using var share = gradients[1];
        var saved = new Queue<Tensor>(context.get_saved_variables());
        // Reading the value would wait for the device, and a product with one costs little.
        var whole = share.device_type == TorchSharp.DeviceType.CPU && share.item<float>() == 1;
        return BackwardPass.Return(scope, [Next("hidden")!, Next("head")!, null!, null!, null!, null!, null!]);

        Tensor? Next(string input) => !(bool)context.get_data(input) ? null : whole ? saved.Dequeue() : saved.Dequeue() * share;
    }
}
