namespace Transformer.Configuration;

/// <summary>How a picture becomes the numbers that a model reads: resized to a square, scaled to 0 to 1 and normalised by colour.</summary>
public sealed record ImageConfig : IValidated
{
    private const int Largest = 4096;

    /// <summary>The side of the square in pixels.</summary>
    public int Size { get; init; } = 224;

    /// <summary>How a picture that is no square becomes one.</summary>
    public ImageFit Fit { get; init; }

    /// <summary>How pixels of another size are made of those of the picture, as Pillow does it.</summary>
    public ImageFilter Filter { get; init; } = ImageFilter.Bicubic;

    /// <summary>What is subtracted from red, green and blue, which are from 0 to 1.</summary>
    public IReadOnlyList<double> Mean { get; init; } = [0.5, 0.5, 0.5];

    /// <summary>What they are then divided by.</summary>
    public IReadOnlyList<double> Deviation { get; init; } = [0.5, 0.5, 0.5];

    /// <inheritdoc/>
    public IEnumerable<ConfigProblem> Problems()
    {
        if (Size is < 1 or > Largest) yield return new("size", $"found {Size}, expected 1 to {Largest}");
        if (Mean.Count != 3) yield return new("mean", $"found {Mean.Count} numbers, expected 3: of red, green and blue");
        if (Deviation.Count != 3 || Deviation.Any(value => !(value > 0)))
            yield return new("deviation", "expected 3 numbers above 0: of red, green and blue");
    }
}
