using Transformer.Configuration;

namespace Transformer.Diagrams;

// B batch · T tokens · C width · H heads · D head width · F hidden width · V vocabulary

/// <summary>The cards of a model's parts: names, settings and parameters, all from the records of its configuration.</summary>
internal sealed class PartCards
{
    private readonly ModelConfig model;
    private readonly int? vocabularySize;
    private readonly ParameterSpec[] parameters;

    /// <param name="model">The model.</param>
    /// <param name="vocabularySize">V; null where it is unknown, and with it the parameters that depend on it.</param>
    public PartCards(ModelConfig model, int? vocabularySize)
    {
        (this.model, this.vocabularySize) = (model, vocabularySize);
        parameters = [.. (model with { VocabularySize = vocabularySize ?? 1 }).Parameters()];
    }

    /// <summary>All parameters; null where they are unknown.</summary>
    public long? Parameters => vocabularySize is null ? null : parameters.Sum(parameter => parameter.Count);

    /// <summary>The shape of what sub-layers are given and give.</summary>
    /// <param name="length">How many vectors of a text there are: T tokens, or S groups.</param>
    public static string Vectors(string length) => $"[B, {length}, C]";

    /// <summary>The shape of the stream between sub-layers.</summary>
    /// <param name="length">How many vectors of a text there are: T tokens, or S groups.</param>
    public string Stream(string length) =>
        model.Residual.StreamCount == 1 ? Vectors(length) : $"[{model.Residual.StreamCount}, B, {length}, C]";

    /// <summary>The lookup of the tokens' vectors.</summary>
    public Card Embedding => Card.Of("embedding", "", "token embedding", OfVocabulary(ModelComponent.Embedding), []);

    /// <summary>The positions; null where there are none.</summary>
    public Card? Position => model.Position is NoPositionConfig ? null : Card.Of(
        "position", "position", Kind.NameOf(model.Position), Card.Count(Count(ModelComponent.Positions)), OrNumbers(model.Position));

    /// <summary>A norm.</summary>
    /// <param name="role">norm, or last norm.</param>
    public Card Norm(string role) => Card.Of(
        "norm", role, Kind.NameOf(model.Norm), Card.Count(model.Norm.Parameters(model.Width).Sum(parameter => parameter.Count)),
        PartSettings.Of(model.Norm));

    /// <summary>The map to the logits.</summary>
    public Card Head => Card.Of(
        "embedding", "", "head", OfVocabulary(ModelComponent.Head), model.TiedHead ? ["tied: the token embedding's weights"] : []);

    /// <summary>The function of a sub-layer.</summary>
    public Card Function(BlockSpec block, SublayerSpec sublayer) => (sublayer.Name, model.Vision) switch
    {
        (SublayerSpec.Mixer, _) => Mixer(block),
        (SublayerSpec.CrossAttention, GatedCrossAttentionConfig cross) => Card.Of(
            "embedding", "attention", "to the last picture", Count(block, sublayer.Name),
            [$"{cross.Heads} heads of width {cross.HeadWidthAt(model.Width)}", "behind a gate"]),
        (SublayerSpec.CrossFeedForward, GatedCrossAttentionConfig { Mlp: var mlp }) => Card.Of(
            "mlp", "MLP", Kind.NameOf(mlp), Count(block, sublayer.Name),
            [.. PartSettings.Of(mlp, "hidden").Prepend($"hidden width {mlp.HiddenAt(model.Width)}"), "behind a gate"]),
        _ => Mlp(block),
    };

    /// <summary>What reads pictures; null where the model reads text alone.</summary>
    public Card? Vision => model.Vision is not { } vision ? null : Card.Of(
        "embedding", "pictures", Kind.NameOf(vision),
        Card.Count(parameters.Where(parameter => parameter is { Component: ModelComponent.Vision, Block: null })
            .Sum(parameter => parameter.Count)),
        [
            $"{vision.Image.Size} x {vision.Image.Size} pixels",
            .. vision.Stem is { } stem ? [$"{stem.Channels.Count} convolutions"] : (string[])[],
            $"{vision.Patches} patches", $"{vision.Encoder.Layers} blocks of width {vision.Encoder.WidthIn(model)}",
            $"projector {Kind.NameOf(vision.Projector)}", $"{vision.Vectors} vectors of a picture",
        ]);

    /// <summary>Whether a block's mixer uses the positions, rather than finding them in the stream.</summary>
    public bool TakesPosition(BlockSpec block) =>
        model.Position is not NoPositionConfig && !model.Position.IsAddedToEmbedding && block.Mixer.ObstacleTo(model.Position) is null;

    /// <summary>A block in the picture of the whole model.</summary>
    /// <param name="block">The block.</param>
    /// <param name="name">What it is called.</param>
    /// <param name="count">How many of them follow each other.</param>
    public Card Block(BlockSpec block, string name, int count)
    {
        var each = parameters.Where(parameter => parameter.Block?.Depth == block.Depth).Sum(parameter => parameter.Count);
        string[] kinds = [Kind.NameOf(block.Mixer), .. block.Mlp is NoMlpConfig ? (string[])[] : [Kind.NameOf(block.Mlp)]];
        return new Card(
            "block", "", name, count == 1 ? "" : $"\u00d7 {count}",
            [string.Join(" \u00b7 ", kinds), $"{Card.Count(each)}{(count == 1 ? "" : " each")}"]);
    }

    /// <summary>What leads into an hourglass.</summary>
    /// <param name="hourglass">The hourglass.</param>
    /// <param name="groups">How many groups it makes of what it reads, in words.</param>
    public Card Into(HourglassSpec hourglass, string groups)
    {
        var (pooling, boundaries) = (hourglass.Config.Pooling, hourglass.Config.Boundaries);
        if (boundaries is null)
        {
            return Card.Of(
                "hourglass", "pooling", Kind.NameOf(pooling), Count(hourglass, "pooling"),
                [$"shorten {hourglass.Config.Shorten}", groups, .. PartSettings.Of(pooling)]);
        }
        string[] found = boundaries switch
        {
            PredictedBoundariesConfig predicted => [$"hidden width {predicted.HiddenAt(model.Width)}"],
            WhiteSpaceBoundariesConfig { Tokens: { } tokens } => [$"{tokens.Count} token{(tokens.Count == 1 ? "" : "s")} with white space"],
            _ => [],
        };
        return Card.Of(
            "hourglass", "boundaries", Kind.NameOf(boundaries), Count(hourglass, "boundaries", "null_group"),
            [
                groups, .. found, .. PartSettings.Of(boundaries, "rate", "hidden", "tokens"),
                $"pooling {Kind.NameOf(pooling)}", "null group before the first",
            ]);
    }

    /// <summary>What leads out of an hourglass.</summary>
    public Card OutOf(HourglassSpec hourglass) => Card.Of(
        "hourglass", "upsampling", Kind.NameOf(hourglass.Config.Upsampling), Count(hourglass, "upsampling"),
        PartSettings.Of(hourglass.Config.Upsampling));

    private Card Mixer(BlockSpec block)
    {
        string[] heads = block.Mixer is HeadedAttentionConfig headed
            ? [$"{headed.Heads} {(headed.Heads == 1 ? "head" : "heads")} of width {headed.HeadWidthAt(model.Width)}"]
            : [];
        var settings = PartSettings.Of(block.Mixer, "heads", "head_width", "kernel");    // which code computes it is no part of the model
        return Card.Of(
            "mixer", "mixer", Kind.NameOf(block.Mixer), Count(block, SublayerSpec.Mixer),
            [
                .. heads,
                .. heads.Length + settings.Count == 0 ? PartSettings.Numbers(block.Mixer) : settings,
                .. TakesPosition(block) ? [$"position {Kind.NameOf(model.Position)}"] : (string[])[],
                .. block.MixesValues ? [$"values mixed with those of block {model.ValueResidualLayers().First()}"] : (string[])[],
            ]);
    }

    private Card Mlp(BlockSpec block) => Card.Of(
        "mlp", "MLP", Kind.NameOf(block.Mlp), Count(block, SublayerSpec.FeedForward),
        PartSettings.Of(block.Mlp, "hidden").Prepend($"hidden width {block.Mlp.HiddenAt(model.Width)}"));

    private static IReadOnlyList<string> OrNumbers(object part) =>
        PartSettings.Of(part) is { Count: > 0 } settings ? settings : PartSettings.Numbers(part);

    private string OfVocabulary(ModelComponent component) => vocabularySize is null ? "" : Card.Count(Count(component));

    private long Count(ModelComponent component) =>
        parameters.Where(parameter => parameter.Component == component).Sum(parameter => parameter.Count);

    private string Count(StackNode node, params string[] parts) => Card.Count(parameters
        .Where(parameter => Array.Exists(parts, part => $"{parameter.Name}.".StartsWith($"{node.Path}.{part}.", StringComparison.Ordinal)))
        .Sum(parameter => parameter.Count));
}
