namespace Transformer.Data.Tasks;

/// <summary>
/// A generated task whose rows each begin with a picture. Rows n * <see cref="RowsPerPicture"/> up to the next multiple of it ask about
/// picture n.
/// </summary>
/// <param name="showsPictures">Whether rows show a picture.</param>
internal abstract class PictureTask(bool showsPictures) : SequenceTask
{
    /// <summary>Whether rows show a picture.</summary>
    public bool ShowsPictures => showsPictures;

    /// <inheritdoc/>
    public sealed override long Tokens(int length) => showsPictures ? length : length - 1;

    /// <summary>How many rows ask about a picture.</summary>
    public abstract int RowsPerPicture { get; }

    /// <summary>What a picture shows and what is asked about it.</summary>
    /// <param name="split">What the picture is for.</param>
    /// <param name="random">The picture's own random numbers.</param>
    public abstract Scene SceneOf(TaskSplit split, RowRandom random);

    /// <inheritdoc/>
    public sealed override void Write(TaskRow row, int length, RowRandom random) => Write(row, SceneOf(row.Split, random));

    /// <summary>Fills a row about a scene, which all rows about its picture share.</summary>
    public void Write(TaskRow row, Scene scene)
    {
        if (showsPictures) row.GivePicture();
        scene.Write(row, (int)(row.Number % (ulong)RowsPerPicture));
    }
}
