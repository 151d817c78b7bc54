using Transformer.Data;
using Transformer.Data.Images;
using Transformer.Data.Tasks;

namespace Transformer.Tests.Data.Tasks;

/// <summary>A row about a picture: what is asked, and the right answer.</summary>
internal sealed record PictureRow(Picture Picture, string Text, string Answer, string Sort)
{
    /// <summary>The rows of a batch.</summary>
    public static PictureRow[] Of(TaskDataset data, Batch batch) => [.. Enumerable.Range(0, batch.Rows).Select(row =>
    {
        var inputs = batch.Inputs.AsSpan(row * batch.Columns, batch.Columns).ToArray();
        var targets = batch.Targets.AsSpan(row * batch.Columns, batch.Columns).ToArray();
        Assert.Equal((Batch.ImagePlaceholder, 1), (inputs[0], inputs.Count(id => id < 0)));
        int[] asked = [.. Enumerable.Range(0, targets.Length).Where(place => targets[place] != Batch.IgnoredTarget)];
        Assert.All(inputs[(asked[^1] + 1)..], padding => Assert.Equal("_", data.Tokenizer.Decode([(int)padding])));
        return new PictureRow(
            batch.Pictures!.Distinct[batch.Pictures.Of[row]],
            data.Tokenizer.Decode([.. inputs[1..(asked[0] + 1)].Select(id => (int)id)]),
            data.Tokenizer.Decode([.. asked.Select(place => (int)targets[place])]),
            batch.Sorts![row]);
    })];

    /// <summary>The first rows of a split.</summary>
    public static PictureRow[] First(TaskDataset data, TaskSplit split, int rows) =>
        Of(data, data.Rows(split, [.. Enumerable.Range(0, rows).Select(row => (ulong)row)]));
}
