using TorchSharp.Modules;
using Transformer.Layers.Attention;
using static TorchSharp.torch;

namespace Transformer.Reproductions;

// B sequences · T associations · N queries · S keys, as many values · D width of keys · F feature width

/// <summary>
/// The one layer of the associative retrieval of Schlag et al. 2021 (arXiv:2102.11174, section 6.1). An association is stored under a key
/// computed from both of its sides, k = W_k [one_hot(value); e(key)], with the value's one-hot code; the query is q = W_q e(key).
/// </summary>
internal sealed class RetrievalMemory : nn.Module<Tensor, Tensor, Tensor, Tensor>
{
    private const int Width = 64;
    private const double Smallest = 1e-6;

    private readonly RetrievalRule rule;
    private readonly int keys;
    private readonly Embedding embedding;
    private readonly Linear writing;
    private readonly Linear reading;
    private readonly Linear? strength;

    /// <param name="rule">How it stores and reads.</param>
    /// <param name="keys">S</param>
    public RetrievalMemory(RetrievalRule rule, int keys) : base(nameof(RetrievalMemory))
    {
        (this.rule, this.keys) = (rule, keys);
        var embeddingWidth = (int)(1.1 * 2 * keys);
        embedding = nn.Embedding(keys, embeddingWidth);
        writing = nn.Linear(keys + embeddingWidth, Width);
        reading = nn.Linear(embeddingWidth, Width);
        if (rule is RetrievalRule.Delta) strength = nn.Linear(keys + embeddingWidth, 1);
        RegisterComponents();
        foreach (var weight in new[] { writing.weight!, reading.weight! })
        {
            if (rule is RetrievalRule.Softmax) nn.init.xavier_uniform_(weight);
            else nn.init.uniform_(weight, -1 / Math.Sqrt(Width), 1 / Math.Sqrt(Width));
        }
    }

    /// <param name="keyIds">[B, T], below S.</param>
    /// <param name="valueIds">[B, T], below S.</param>
    /// <param name="queryIds">[B, N], keys.</param>
    /// <returns>[B, N, S]: the result, near the one-hot code of a value where the memory works.</returns>
    public override Tensor forward(Tensor keyIds, Tensor valueIds, Tensor queryIds)
    {
        var k = OfPairs(writing, keyIds, valueIds);                                                 // [B, T, D]
        var q = reading.call(embedding.weight!).index(queryIds);                                    // [B, N, D]
        if (rule is RetrievalRule.Delta)
            return ByDelta(Normalised(k), Normalised(q), OfPairs(strength!, keyIds, valueIds).sigmoid(), valueIds);
        var weights = rule is RetrievalRule.Softmax ? Scores(k, q).softmax(-1) : Shares(Features(k), Features(q));    // [B, N, T]
        var read = zeros(weights.shape[0], weights.shape[1], keys);
        return read.scatter_add(2, valueIds.unsqueeze(1).expand(weights.shape), weights);           // [B, N, S]
    }

    // W [one_hot(value); e(key)] + b by lookups: the product of W with a one-hot code is a column, and the product with an embedding is one
    // of S.
    private Tensor OfPairs(Linear layer, Tensor keyIds, Tensor valueIds)
    {
        var ofValues = layer.weight!.narrow(1, 0, keys).transpose(0, 1);                            // [S, D]
        // [S, D]
        var ofKeys = nn.functional.linear(embedding.weight!, layer.weight.narrow(1, keys, embedding.weight!.shape[1]), layer.bias);
        return ofValues.index(valueIds) + ofKeys.index(keyIds);
    }

    private Tensor Features(Tensor x) => rule switch
    {
        RetrievalRule.Elu => FeatureMap.Elu(x),
        RetrievalRule.Dpfp2 => FeatureMap.Dpfp(x, nu: 2),
        _ => FeatureMap.Dpfp(x, nu: 1),
    };

    private static Tensor Scores(Tensor k, Tensor q) => matmul(q, k.transpose(1, 2)) / Math.Sqrt(Width);    // [B, N, T]

    // phi(q) . phi(k), over its sum for all keys.
    private static Tensor Shares(Tensor k, Tensor q)
    {
        var products = matmul(q, k.transpose(1, 2));                                                // [B, N, T]
        return products / (products.sum(-1, keepdim: true) + Smallest);
    }

    private Tensor Normalised(Tensor x)
    {
        var features = Features(x);                                                                 // [B, T or N, F]
        return features / (features.sum(-1, keepdim: true) + Smallest);
    }

    private Tensor ByDelta(Tensor k, Tensor q, Tensor beta, Tensor valueIds)
    {
        (k, beta) = (k.unsqueeze(1), beta.unsqueeze(1));                                            // [B, 1, T, F], [B, 1, T, 1]
        var v = nn.functional.one_hot(valueIds, keys).to(k.dtype).unsqueeze(1);                     // [B, 1, T, S]
        var (_, memory) = LinearRecurrence.Chunkwise(k, k, v, logDecay: null, beta, state: null, chunk: 32);    // [B, 1, F, S]
        return matmul(q, memory.squeeze(1));
    }
}
