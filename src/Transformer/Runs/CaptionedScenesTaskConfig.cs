using Transformer.Configuration;

namespace Transformer.Runs;

/// <summary>
/// Pictures of one to three objects, each a circle, a square or a triangle, small or large and of a colour of its own, to be described by
/// the one right caption: a large red circle left of a small blue square . It names the objects in the order red, green, blue, orange,
/// grey, yellow, and how each stands to the next. No scene that validates is ever trained on.
/// </summary>
public sealed record CaptionedScenesTaskConfig : PictureTaskConfig
{
    private const int MostObjects = 3, LeastSize = 48, GreatestSize = 1024;

    /// <summary>The number of validation pictures.</summary>
    public override int ValidationPictures { get; init; } = 1000;

    /// <summary>The most objects of a picture; each number from one to it is equally frequent.</summary>
    public int Objects { get; init; } = MostObjects;

    /// <summary>The pixels of a side of the picture, to which the objects are in proportion.</summary>
    public int PictureSize { get; init; } = 64;

    /// <summary>
    /// The picture, a word, and the longest caption but its full stop, which is only a target: four words an object, and up to two for each
    /// relation. Shorter ones are padded.
    /// </summary>
    public override int Length => 2 + 4 * Bounded + 2 * (Bounded - 1);

    internal override int RowsPerPicture => 1;

    private int Bounded => Math.Clamp(Objects, 1, MostObjects);

    private protected override IEnumerable<ConfigProblem> OwnProblems()
    {
        foreach (var problem in base.OwnProblems()) yield return problem;
        if (Objects is < 1 or > MostObjects) yield return new("objects", $"found {Objects}, expected 1 to {MostObjects}");
        if (PictureSize is < LeastSize or > GreatestSize)
            yield return new("picture_size", $"found {PictureSize}, expected {LeastSize} to {GreatestSize}");
    }
}
