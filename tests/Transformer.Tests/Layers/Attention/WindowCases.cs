using Transformer.Layers.Attention;
using Transformer.Layers.Positions;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Attention;

// B batch · T tokens · H heads · G key/value heads · D head width

/// <summary>Common parts of the window tests: inputs, spans, and the definition with which every form is compared.</summary>
internal static class WindowCases
{
    public const double Scale = 0.3;

    /// <summary>A span of its own for each row, head and query, between 0 and a maximum: [B, H, T].</summary>
    public static Tensor Spans(int heads, int tokens, double maximum) => rand(2, heads, tokens) * maximum;

    /// <summary>The definition: all T x T scores, a mask and where there is a ramp a soft mask. All tensors [B, T, H or G, D].</summary>
    public static Tensor Explicit(Tensor q, Tensor k, Tensor v, Window window, Rotation? rotation = null)
    {
        (q, k, v) = (q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2));    // [B, H, T, D], 2 x [B, G, T, D]
        if (rotation is not null) (q, k) = (rotation.Apply(q), rotation.Apply(k));
        var distance = Distance(q.shape[2]);
        return SoftmaxAttention.Explicit(q, k, v, Scale, window.Reaches(distance), softMask: window.SoftMask(distance)).transpose(1, 2);
    }

    /// <summary>From key to query: [T, T].</summary>
    public static Tensor Distance(long tokens) => arange(tokens).unsqueeze(1) - arange(tokens);

    /// <summary>q, k and v: [B, T, H or G, D].</summary>
    public static Tensor[] Inputs(int tokens, int heads, int keyValueHeads, int headWidth) =>
        [randn(2, tokens, heads, headWidth), randn(2, tokens, keyValueHeads, headWidth), randn(2, tokens, keyValueHeads, headWidth)];

    /// <summary>Arbitrary angles that differ from their neighbours'.</summary>
    public static Rotation Angles(int headWidth, int tokens)
    {
        var angles = rand(tokens, headWidth / 2) * 2 * Math.PI;
        return new(angles.cos(), angles.sin());
    }

    /// <summary>Spans that differ by head and, where they can, by token, some of them between two tokens.</summary>
    public static void Spread(nn.Module module)
    {
        using var _ = no_grad();
        foreach (var (name, parameter) in module.named_parameters())
        {
            if (name.EndsWith("span", StringComparison.Ordinal)) parameter.copy_(linspace(0, 1, parameter.shape[0]) * 0.9 + 0.05);
            if (name.EndsWith("window.weight", StringComparison.Ordinal) || (module is DynamicSpan && name == "weight"))
                parameter.normal_();
        }
    }
}
