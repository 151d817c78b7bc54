using Transformer.Configuration;
using Transformer.Native;
using static TorchSharp.torch;
using Linear = Transformer.Layers.Linear;

namespace Transformer.Model.Hierarchy;

// B batch · T tokens · C width · F hidden width

/// <summary>
/// The network that predicts boundaries, and what teaches it (Nawrot et al. 2023, arXiv:2211.09761, sections 3.1 and 3.2).
/// </summary>
public sealed class BoundaryPredictor : nn.Module<Tensor, Tensor>
{
    private const double Least = 1.1920928955078125e-07;    // 2^-23: probabilities are kept so far from 0 and 1

    private readonly Linear up_proj;
    private readonly Linear down_proj;

    /// <param name="config">Its hidden width.</param>
    /// <param name="width">C.</param>
    public BoundaryPredictor(PredictedBoundariesConfig config, int width) : base(nameof(BoundaryPredictor))
    {
        up_proj = new Linear(width, config.HiddenAt(width), hasBias: true);
        down_proj = new Linear(config.HiddenAt(width), 1, hasBias: true);
        RegisterComponents();
    }

    /// <summary>The logits of a boundary at each token, fp32: a rounded one would be another.</summary>
    /// <param name="x">[B, T, C]</param>
    /// <returns>[B, T]</returns>
    public override Tensor forward(Tensor x) => down_proj.call(nn.functional.gelu(up_proj.call(x.ToFloat32()))).squeeze(-1);

    /// <summary>
    /// Boundaries drawn by a Gumbel-sigmoid: sigmoid((logit u + logit p) / temperature) is rounded; the gradient is that before rounding.
    /// </summary>
    /// <param name="logits">logit p: [B, T]</param>
    /// <param name="uniform">u, uniform in [0, 1): [B, T]</param>
    /// <param name="temperature">The lower, the nearer to a Bernoulli draw.</param>
    /// <returns>0 and 1: [B, T]</returns>
    public static Tensor Draw(Tensor logits, Tensor uniform, double temperature)
    {
        var u = uniform.clamp(Least, 1 - Least);
        var p = logits.sigmoid().clamp(Least, 1 - Least);
        var soft = ((u.log() - (-u).log1p() + p.log() - (-p).log1p()) / temperature).sigmoid();
        return (soft > 0.5).to(soft.dtype) + (soft - soft.detach());
    }

    /// <summary>The likelihood of the number of boundaries: -log Binomial(k; T, rate) / T, the mean over the rows.</summary>
    /// <param name="ends">Boundaries as 0 and 1: [B, T]</param>
    /// <param name="rate">The share of boundaries that is expected.</param>
    /// <param name="lengths">T of each row, from the left: [B]; all where null.</param>
    /// <returns>A scalar.</returns>
    public static Tensor Prior(Tensor ends, double rate, Tensor? lengths = null)
    {
        var count = ends.sum(1);                                                               // [B]
        var tokens = lengths ?? full_like(count, ends.shape[1]);                               // [B]
        var choices = (tokens + 1).lgamma() - (count + 1).lgamma() - (tokens - count + 1).lgamma();
        return -((choices + count * Math.Log(rate) + (tokens - count) * Math.Log(1 - rate)) / tokens).mean();
    }

    /// <summary>The entropy of the next token, in nats.</summary>
    /// <param name="logits">[..., V]</param>
    /// <returns>[...]</returns>
    public static Tensor Entropy(Tensor logits)
    {
        var logProbabilities = logits.log_softmax(-1);
        return -(logProbabilities.exp() * logProbabilities).sum(-1);
    }

    /// <summary>Where the entropy of the next token is greater than at each of the tokens before, so many of them: 0 and 1.</summary>
    /// <param name="entropy">[B, T]</param>
    /// <param name="left">How many tokens before.</param>
    /// <returns>[B, T]</returns>
    public static Tensor Spikes(Tensor entropy, int left)
    {
        using var scope = NewDisposeScope();
        var spikes = ones_like(entropy, ScalarType.Bool);
        for (var distance = 1; distance <= Math.Min(left, entropy.shape[1] - 1); distance++)
        {
            var later = entropy.narrow(1, distance, entropy.shape[1] - distance);
            var higher = later > entropy.narrow(1, 0, entropy.shape[1] - distance);
            spikes.narrow(1, distance, entropy.shape[1] - distance).logical_and_(higher);
        }
        return spikes.to(ScalarType.Float32).MoveToOuterDisposeScope();
    }
}
