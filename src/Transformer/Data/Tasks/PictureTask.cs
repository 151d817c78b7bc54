namespace Transformer.Data.Tasks;

/// <summary>
/// A generated task whose rows each begin with a picture. Rows n * <see cref="RowsPerPicture"/> up to the next multiple of it ask about
/// picture n.
/// </summary>
internal abstract class PictureTask : SequenceTask
{
    /// <summary>How many rows ask about a picture.</summary>
    public abstract int RowsPerPicture { get; }

    /// <summary>What a picture shows and what is asked about it.</summary>
    /// <param name="split">What the picture is for.</param>
    /// <param name="random">The picture's own random numbers.</param>
    public abstract Scene SceneOf(TaskSplit split, RowRandom random);

    /// <inheritdoc/>
    /// <param name="row">The row, without targets so far.</param>
    /// <param name="length">The size, in what the task counts.</param>
    /// <param name="random">The random numbers of the row's picture.</param>
    public sealed override void Write(TaskRow row, int length, RowRandom random)
    {
        row.GivePicture();
        SceneOf(row.Split, random).Write(row, (int)(row.Number % (ulong)RowsPerPicture));
    }
}
