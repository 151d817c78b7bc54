using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Layers.Attention;

// B batch · T tokens · C width

/// <summary>Which earlier tokens the queries of a layer see: <c>forward(x [B, T, C], context) -> window</c>.</summary>
/// <param name="name">The name of the module's kind.</param>
public abstract class AttentionWindow(string name) : nn.Module<Tensor, ForwardContext, Window>(name)
{
    /// <summary>The most keys that a query sees, its own included: what generation keeps.</summary>
    /// <param name="length">The greatest number of tokens that a sequence may reach.</param>
    public abstract int Keys(int length);

    /// <summary>The window of a layer; null where queries see all earlier tokens.</summary>
    /// <param name="config">The kind of window.</param>
    /// <param name="heads">H, the number of query heads.</param>
    /// <param name="width">C, the width of the residual stream.</param>
    /// <exception cref="InputException">No layer is known for the kind.</exception>
    public static AttentionWindow? FromConfig(WindowConfig config, int heads, int width) => config switch
    {
        FullWindowConfig => null,
        SlidingWindowConfig sliding => new SlidingWindow(sliding),
        LengthScaledWindowConfig scaled => new LengthScaledWindow(scaled),
        AdaptiveWindowConfig adaptive => new AdaptiveSpan(adaptive, heads),
        DynamicWindowConfig dynamic => new DynamicSpan(dynamic, heads, width),
        _ => throw Kind.Unknown("model.attention.window", config, "layer"),
    };
}
