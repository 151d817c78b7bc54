using System.Runtime.ExceptionServices;
using Transformer.Distributed;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Layers;

// N ranks · B batch · T tokens · C width

/// <summary>
/// The ranks that share every sub-layer (Shoeybi et al. 2019, arXiv:1909.08053, section 3): each has a share of the heads or hidden units,
/// and their outputs for the same x add up, Y = sum over r of act(X A_r) B_r. A sub-layer costs an all-reduce of its outputs in the forward
/// pass and one of its input's gradients in the backward pass.
/// </summary>
/// <param name="collective">The processes. Each runs the same passes over the same inputs.</param>
public sealed class TensorParallelGroup(ICollective collective)
{
    private ExceptionDispatchInfo? failure;

    /// <summary>The processes.</summary>
    public ICollective Collective => collective;

    /// <summary>Which of them this is, from 0.</summary>
    public int Rank => collective.Rank;

    /// <summary>N.</summary>
    public int Count => collective.Ranks;

    /// <summary>The output of a sub-layer, the same on all ranks bit for bit.</summary>
    /// <param name="x">Its input, the same on all ranks: [B, T, C].</param>
    /// <param name="share">This rank's heads or hidden units: [B, T, C] to [B, T, C].</param>
    /// <returns>[B, T, C], fp32</returns>
    public Tensor Apply(Tensor x, Func<Tensor, Tensor> share) => ReduceFromRanks.apply(share(CopyToRanks.apply(x, this)).ToFloat32(), this);

    /// <summary>The sum over the ranks, the same on all of them bit for bit. It has no gradient of its own.</summary>
    /// <param name="x">Alike in shape on every rank.</param>
    /// <returns>Of that shape, fp32.</returns>
    public Tensor Sum(Tensor x)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        var buffer = zeros((x.numel() + Count - 1) / Count * Count, device: x.device);    // padded until the ranks divide it
        var sum = buffer.narrow(0, 0, x.numel()).view(x.shape);
        sum.copy_(x);
        collective.AllReduce(buffer).Wait();
        return scope.MoveToOuter(sum);
    }

    /// <summary>The shares of all ranks, one behind the other along a dimension.</summary>
    public Tensor Join(Tensor share, int dimension)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        var shares = empty([Count, .. share.shape], share.dtype, share.device);
        shares[Rank].copy_(share);
        collective.AllGather(shares).Wait();
        return scope.MoveToOuter(cat([.. shares.unbind()], dimension));
    }

    /// <summary>Rank 0's numbers, which all ranks take so that rounding cannot make them diverge.</summary>
    public double[] OfFirst(params double[] mine) => collective.Gather(mine)[0];

    /// <summary>Whether the flag is set on any rank.</summary>
    public bool Any(bool mine) => collective.Any(mine);

    /// <summary>To be called after a backward pass: throws an error of its collectives, after which the gradients are invalid.</summary>
    public void ThrowIfFailed() => failure?.Throw();

    // The paper's f: all ranks read the same input, so that its gradients add up. Must not throw: it is called by libtorch.
    private sealed class CopyToRanks : Operator<CopyToRanks>
    {
        public override Tensor forward(autograd.AutogradContext context, params object[] inputs)
        {
            context.save_data(nameof(TensorParallelGroup), inputs[1]);
            return ((Tensor)inputs[0]).detach();
        }

        protected override List<Tensor> Gradients(autograd.AutogradContext context, Tensor gradient)
        {
            var ranks = (TensorParallelGroup)context.get_data(nameof(TensorParallelGroup));
            try
            {
                return [ranks.Sum(gradient), null!];
            }
            catch (Exception e)
            {
                ranks.failure ??= ExceptionDispatchInfo.Capture(e);
                return [gradient.alias(), null!];
            }
        }
    }

    // The paper's g: every rank's output is part of the sum, so each gets the gradient of the sum.
    private sealed class ReduceFromRanks : Operator<ReduceFromRanks>
    {
        public override Tensor forward(autograd.AutogradContext context, params object[] inputs) =>
            ((TensorParallelGroup)inputs[1]).Sum((Tensor)inputs[0]);

        protected override List<Tensor> Gradients(autograd.AutogradContext context, Tensor gradient) => [gradient.alias(), null!];
    }
}
