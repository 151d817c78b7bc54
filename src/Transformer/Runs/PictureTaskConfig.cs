using Transformer.Configuration;

namespace Transformer.Runs;

/// <summary>A task whose rows ask about generated pictures. A picture is a function of the seed, the split and its number.</summary>
public abstract record PictureTaskConfig : TaskConfig
{
    /// <summary>The number of pictures to train on, each once per epoch; null: fresh pictures without end.</summary>
    public virtual int? Pictures { get; init; }

    /// <summary>The number of validation pictures.</summary>
    public virtual int ValidationPictures { get; init; } = 200;

    /// <summary>Which picture a row shows: own, or as controls others or none.</summary>
    public ShownPictures Shown { get; init; }

    /// <summary>Those of the pictures.</summary>
    public sealed override int? TrainingRows => Bounded(Pictures) * RowsPerPicture;

    /// <summary>Those of the validation pictures.</summary>
    public sealed override int ValidationRows => Bounded(ValidationPictures)!.Value * RowsPerPicture;

    /// <summary>None of its own.</summary>
    public sealed override int? ValidationLength => null;

    /// <summary>How many rows ask about a picture.</summary>
    internal abstract int RowsPerPicture { get; }

    /// <summary>How many rows of a picture training draws together; a divisor of them.</summary>
    internal virtual int RowsAtOnce => 1;

    private protected override IEnumerable<ConfigProblem> OwnProblems() =>
        [.. AtLeast(1, "pictures", Pictures ?? 1), .. AtLeast(1, "validation_pictures", ValidationPictures)];

    // So that rows can be counted where the value is refused.
    private static int? Bounded(int? pictures) => pictures is { } count ? Math.Clamp(count, 1, Most) : null;
}
