namespace Transformer.Configuration;

/// <summary>
/// One sub-layer of a block: a function between norms, within a residual. Names are those of its modules, and so of its parameters.
/// </summary>
/// <param name="Name">The function's module: <c>self_attn</c> for the mixer, <c>mlp</c> for the feed-forward layer.</param>
/// <param name="Index">Which sub-layer of the model this is, 0 being the first one after the embedding.</param>
/// <param name="NormBefore">The norm of what the function reads; null where the residual has none there.</param>
/// <param name="NormAfter">The norm behind it; null where the residual has none there.</param>
public sealed record SublayerSpec(string Name, int Index, string? NormBefore, string? NormAfter)
{
    /// <summary>The name of the sub-layer that moves information between positions.</summary>
    public const string Mixer = "self_attn";

    /// <summary>The name of the sub-layer that reads from vectors other than those of the stream.</summary>
    public const string CrossAttention = "cross_attn";

    /// <summary>The name of the sub-layer that computes at each position by itself.</summary>
    public const string FeedForward = "mlp";

    /// <summary>The name of the one that stands behind cross-attention to pictures.</summary>
    public const string CrossFeedForward = "cross_mlp";

    /// <summary>Whether it joins the stream through a gate, whatever the model's residual: x + tanh(g) f(norm(x)).</summary>
    public bool IsGated { get; init; }

    /// <summary>What stands before the mixer of a block that reads pictures by cross-attention.</summary>
    /// <param name="index">The number of the sub-layer that they stand before.</param>
    internal static IEnumerable<SublayerSpec> Gated(int index) =>
        new[] { CrossAttention, CrossFeedForward }
            .Select(name => new SublayerSpec(name, index, $"{name}_layernorm", NormAfter: null) { IsGated = true });

    /// <summary>The parameters of its residual, named relative to it.</summary>
    /// <param name="model">The model that it is part of.</param>
    internal IEnumerable<ParameterSpec> ResidualParameters(ModelConfig model) => IsGated
        ? [new("gate", [1], new ConstantDraw((model.Vision as GatedCrossAttentionConfig)?.InitialGate ?? 0))]
        : model.Residual.Parameters();

    /// <summary>The module of the residual's own parameters.</summary>
    public string Residual => $"{Name}_residual";

    /// <summary>The names of its norms.</summary>
    public IEnumerable<string> Norms => new[] { NormBefore, NormAfter }.OfType<string>();
}
