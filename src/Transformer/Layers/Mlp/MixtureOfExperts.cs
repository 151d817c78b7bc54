using TorchSharp.Modules;
using Transformer.Configuration;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Layers.Mlp;

// B batch · T tokens · N = B T tokens of the batch · C width · E experts · K active experts of a token

/// <summary>
/// E MLPs, of which each token takes the K that a router finds most probable (Shazeer et al. 2017; as in Mixtral, Jiang
/// et al. 2024): y = sum over the K of weight_e expert_e(x), the weights being the router's probabilities made to sum to
/// one. An expert computes only its own tokens.
/// </summary>
public sealed class MixtureOfExperts : Mlp
{
    private readonly int active;
    private readonly double balance;
    private readonly double? capacityFactor;
    private readonly Linear gate;
    private readonly ModuleList<Mlp> experts;

    /// <param name="config">Experts, router and balance.</param>
    /// <param name="width">C, the width of the residual stream.</param>
    public MixtureOfExperts(MixtureMlpConfig config, int width) : base(nameof(MixtureOfExperts))
    {
        (active, balance, capacityFactor) = (config.Active, config.Balance, config.CapacityFactor);
        gate = new Linear(width, config.Experts, hasBias: false);
        experts = new ModuleList<Mlp>([.. Enumerable.Range(0, config.Experts).Select(_ => FromConfig(config.Expert, width))]);
        RegisterComponents();
    }

    /// <param name="x">[B, T, C]</param>
    /// <param name="context">Where the balance of a training pass goes.</param>
    /// <returns>[B, T, C]</returns>
    public override Tensor forward(Tensor x, ForwardContext context)
    {
        var tokens = x.reshape(-1, x.shape[^1]);                                   // [N, C]
        var probabilities = gate.call(tokens.ToFloat32()).softmax(-1);               // [N, E], fp32: a rounded one chooses others
        var (weights, chosen) = probabilities.topk(active);                        // 2 x [N, K]
        // A single weight made to sum to one would be one, and the router would learn nothing: it stays the probability (Fedus et al.
        // 2021).
        if (active > 1) weights = weights / weights.sum(-1, keepdim: true);
        if (balance > 0) context.AuxiliaryLosses?.Add(balance * Imbalance(probabilities, chosen));
        return Dispatch(tokens, weights, chosen, context).view(x.shape);           // [B, T, C]
    }

    /// <summary>
    /// E times the sum over the experts of f_e P_e (Fedus et al. 2021, equation 4, for K choices as in Mixtral): f_e is the share of the
    /// tokens that take expert e, P_e its mean probability. It is K where experts are evenly used. Gradients pass through P.
    /// </summary>
    /// <param name="probabilities">[N, E]</param>
    /// <param name="chosen">[N, K], experts by number.</param>
    /// <returns>A scalar.</returns>
    public static Tensor Imbalance(Tensor probabilities, Tensor chosen)
    {
        var experts = probabilities.shape[1];
        var shares = Counts(chosen, experts).to(probabilities.dtype) / chosen.shape[0];                     // [E]
        return experts * (shares * probabilities.mean([0L])).sum();
    }

    // Tokens are sorted by expert, each expert computes its own, and the results are added to their tokens.
    private Tensor Dispatch(Tensor tokens, Tensor weights, Tensor chosen, ForwardContext context)
    {
        var (_, order) = chosen.flatten().sort(dim: 0, descending: false, stable: true);     // 2 x [N K], by expert, then by token
        long[] counts = [.. Counts(chosen, experts.Count).ToHost().Select(count => (long)count)];    // waits for the device
        var capacity = Capacity(tokens.shape[0]);
        var (results, kept) = (new List<Tensor>(), new List<Tensor>());
        long start = 0;
        for (var e = 0; e < experts.Count; start += counts[e++])
        {
            var taken = Math.Min(counts[e], capacity);
            if (taken == 0) continue;
            kept.Add(order.narrow(0, start, taken));                                               // [taken], into [N K]
            results.Add(experts[e].call(tokens.index_select(0, TokenOf(kept[^1])), context));      // [taken, C]
        }
        var choices = cat(kept);
        var y = cat(results) * weights.flatten().index_select(0, choices).unsqueeze(1);
        return zeros_like(tokens, y.dtype).index_add(0, TokenOf(choices), y, 1);                    // [N, C]

        Tensor TokenOf(Tensor choice) => choice.div(active, RoundingMode.floor);
    }

    // How many tokens chose each expert: [E]. bincount would wait for the device to find the greatest number.
    private static Tensor Counts(Tensor chosen, long experts) =>
        zeros(experts, ScalarType.Int64, chosen.device)
            .scatter_add_(0, chosen.flatten(), ones(chosen.numel(), ScalarType.Int64, chosen.device));

    // In training, overflow tokens skip a full expert. Earlier tokens of a row have precedence, so
    // that none is dropped because of a later one.
    private long Capacity(long tokens) => capacityFactor is { } factor && training
        ? (long)Math.Ceiling(factor * tokens * active / experts.Count)
        : tokens;
}
