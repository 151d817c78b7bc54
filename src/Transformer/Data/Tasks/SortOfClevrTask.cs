using Transformer.Runs;

namespace Transformer.Data.Tasks;

/// <summary>
/// Sort-of-CLEVR (Santoro et al. 2017): a picture, then for example: nearest red, to be answered with the shape of the object that is
/// nearest to the red one. Unlike in the generator that is commonly used, squares do not overlap, and an object is never its own nearest
/// neighbour.
/// </summary>
internal sealed class SortOfClevrTask(SortOfClevrTaskConfig config) : PictureTask(config.Shown != ShownPictures.None)
{
    public override IReadOnlyList<string> Words => SortOfClevrScene.Words;

    public override int RowsPerPicture => config.RowsPerPicture;

    public override Scene SceneOf(TaskSplit split, RowRandom random) => SortOfClevrScene.From(random, RowsPerPicture);
}
