using TorchSharp.Modules;
using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Layers.Positions;

// B batch · T queries · S keys · H heads · N buckets

/// <summary>
/// The relative biases of T5 (Raffel et al. 2020, arXiv:1910.10683, section 2.1): a learned number a head and bucket of distances is added
/// to the score. Half of the buckets hold one distance each, the others ranges that grow with the distance; the last holds all from a
/// maximum on.
/// </summary>
public sealed class T5Bias : ScoreBias
{
    private readonly long maximum;
    private readonly Tensor buckets;
    private readonly Embedding relative_attention_bias;

    /// <param name="config">N and the maximum.</param>
    /// <param name="heads">H.</param>
    public T5Bias(T5PositionConfig config, int heads) : base(nameof(T5Bias))
    {
        maximum = config.MaximumDistance;
        var distances = Enumerable.Range(0, config.MaximumDistance + 1);
        buckets = tensor(distances.Select(distance => config.BucketOf(distance)).ToArray()).DetachFromDisposeScope();
        relative_attention_bias = nn.Embedding(config.Buckets, heads);                                          // [N, H]
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor q, Tensor queries, Tensor keys)
    {
        var distances = Distances(queries, keys).clamp(0, maximum);                                             // [B or 1, T, S]
        var table = relative_attention_bias.weight!.t();                                                        // [H, N]
        return table.index_select(1, buckets[distances].flatten())
            .view([table.shape[0], .. distances.shape]).transpose(0, 1);                                        // [B or 1, H, T, S]
    }
}
