using Transformer.Runs;

namespace Transformer.Data.Tasks;

/// <summary>
/// A picture and "shows", to be continued with its caption: a large red circle left of a small blue square . No scene is in both splits,
/// whatever the seeds, since its own hash says to which of them it belongs.
/// </summary>
internal sealed class CaptionedScenesTask(CaptionedScenesTaskConfig config) : PictureTask(config.Shown != ShownPictures.None)
{
    public override IReadOnlyList<string> Words => CaptionedScene.Words;

    public override int RowsPerPicture => config.RowsPerPicture;

    public override Scene SceneOf(TaskSplit split, RowRandom random)
    {
        var count = 1 + random.Below(config.Objects);
        CaptionedScene.Item[] objects =
        [
            .. random.Different(count, CaptionedScene.Colours).Order().Select(colour =>
                new CaptionedScene.Item(random.Below(CaptionedScene.Shapes), colour, random.Below(2) == 0, X: 0, Y: 0)),
        ];
        while (true)
        {
            var scene = new CaptionedScene([.. objects.Select(item => Placed(item, random))], config.PictureSize);
            if (scene.IsClear && scene.IsHeldOut == (split == TaskSplit.Validation)) return scene;
        }
    }

    // Anywhere within the picture.
    private CaptionedScene.Item Placed(CaptionedScene.Item item, RowRandom random)
    {
        var (radius, size) = (CaptionedScene.Radius(item, config.PictureSize), config.PictureSize);
        return item with { X = radius + random.Below(size - 2 * radius), Y = radius + random.Below(size - 2 * radius) };
    }
}
