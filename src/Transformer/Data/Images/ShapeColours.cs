using SkiaSharp;

namespace Transformer.Data.Images;

/// <summary>The six colours of objects: those of Sort-of-CLEVR.</summary>
internal static class ShapeColours
{
    /// <summary>Each with its name, in the order of that set.</summary>
    public static IReadOnlyList<(string Name, SKColor Value)> All { get; } =
    [
        ("red", new(255, 0, 0)), ("green", new(0, 255, 0)), ("blue", new(0, 0, 255)), ("orange", new(255, 156, 0)),
        ("grey", new(128, 128, 128)), ("yellow", new(255, 255, 0)),
    ];
}
