using TorchSharp.Modules;
using Transformer.Configuration;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Layers.Positions;

// B batch · T queries · S keys · H heads · D head width · K maximum

/// <summary>
/// Relative position representations (Shaw et al. 2018, arXiv:1803.02155), the part of the keys: the query is compared with a learned
/// vector of the distance too, scale * q_i . a_min(i-j, K). The vectors are shared by the heads (section 3.3 of the paper).
/// </summary>
public sealed class RelativeBias : ScoreBias
{
    private readonly long maximum;
    private readonly double scale;
    private readonly Embedding distance_embedding;

    /// <param name="config">K.</param>
    /// <param name="headWidth">D.</param>
    /// <param name="scale">What q k^T is multiplied by.</param>
    public RelativeBias(RelativePositionConfig config, int headWidth, double scale) : base(nameof(RelativeBias))
    {
        (maximum, this.scale) = (config.Maximum, scale);
        distance_embedding = nn.Embedding(config.Maximum + 1, headWidth);                                       // [K + 1, D]
        RegisterComponents();
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor q, Tensor queries, Tensor keys)
    {
        var vectors = distance_embedding.weight!.to(q.dtype).ForMatmul();                                       // [K + 1, D]
        var products = matmul((scale * q).ForMatmul(), vectors.t()).to(q.dtype);                                // [B, H, T, K + 1]
        var distances = Distances(queries, keys).clamp(0, maximum).unsqueeze(1);                                // [B or 1, 1, T, S]
        return products.gather(-1, distances.expand(q.shape[0], q.shape[1], -1, -1));                           // [B, H, T, S]
    }
}
