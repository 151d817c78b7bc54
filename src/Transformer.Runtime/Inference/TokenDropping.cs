using Transformer.Configuration;

namespace Transformer.Inference;

/// <summary>Which models can go on after tokens within their text were dropped.</summary>
internal static class TokenDropping
{
    /// <summary>Why a model cannot: the key and the reason. Null where it can.</summary>
    public static string? ObstacleTo(ModelConfig model) => model.Position switch
    {
        _ when model.HasSegments => "model: it reads texts segment by segment, and remembers what it drops",
        _ when model.Layers.Hourglasses.FirstOrDefault() is { Path: { } path } =>
            $"model.layers{path}: its layers have read groups of the tokens that would be dropped",
        _ when model.Vision is GatedCrossAttentionConfig =>
            "model.vision: later tokens would go on seeing a picture whose place was dropped",
        LearnedPositionConfig or SinusoidalPositionConfig =>
            "model.position: positions are added to the embedding, so that a cached token cannot move to another place",
        _ => model.MixersByPath().Select(mixer => ObstacleTo(mixer.Path, mixer.Mixer, model.Position)).OfType<string>().FirstOrDefault(),
    };

    // A recurrence or a convolution keeps what it has read, and has no places that could change.
    private static string? ObstacleTo(string path, AttentionConfig mixer, PositionConfig position) => mixer switch
    {
        SoftmaxAttentionConfig { Window: FullWindowConfig } or ConvolutionConfig => null,
        SoftmaxAttentionConfig => $"{path}.window: a window does not see the first tokens, so that keeping them means nothing",
        LinearAttentionConfig when position is RotaryPositionConfig && mixer.ObstacleTo(position) is null =>
            $"{path}: its recurrence has added up keys that are rotated by their place in the text",
        LinearAttentionConfig => null,
        LatentAttentionConfig => $"{path}: its cache holds keys that are rotated already",
        ForgettingAttentionConfig => $"{path}: its scores fade by the tokens between, which would be gone",
        _ => $"{path}: a state of {Kind.NameOf(mixer)} cannot drop tokens",
    };
}
