using Transformer.Data.Images;

namespace Transformer.Data.Tasks;

/// <summary>
/// Objects of different colours, and the one caption that describes them: in the order of the colours, each with its relation to the next.
/// </summary>
/// <param name="objects">In the order of the colours.</param>
/// <param name="size">The pixels of a side of the picture.</param>
internal sealed class CaptionedScene(IReadOnlyList<CaptionedScene.Item> objects, int size) : Scene
{
    /// <summary>The number of different shapes.</summary>
    public const int Shapes = 3;

    // One scene of so many is held out.
    private const ulong HeldOutPart = 8;
    private const string Question = "shows", End = ".", Padding = "_";
    private const int Circle = 0, Square = 1;
    private static readonly string[] ShapeNames = ["circle", "square", "triangle"];
    private static readonly string[] SortNames = ["one_object", "two_objects", "three_objects"];

    /// <summary>The words of the captions, and the others.</summary>
    public static IReadOnlyList<string> Words { get; } =
    [
        "a", "small", "large", .. ShapeColours.All.Select(colour => colour.Name), .. ShapeNames, "left", "right", "of", "above", "below",
        End, Question, Padding,
    ];

    private static readonly Dictionary<string, int> Ids = Words.Index().ToDictionary(word => word.Item, word => word.Index);

    /// <summary>An object.</summary>
    /// <param name="Shape">A circle, a square or a triangle.</param>
    /// <param name="Colour">Which of the colours.</param>
    /// <param name="IsLarge">Large or small.</param>
    /// <param name="X">Its middle from the left.</param>
    /// <param name="Y">Its middle from the top.</param>
    public readonly record struct Item(int Shape, int Colour, bool IsLarge, int X, int Y);

    /// <summary>The number of different colours.</summary>
    public static int Colours => ShapeColours.All.Count;

    /// <summary>The pixels of an object on each side of its middle.</summary>
    /// <param name="item">The object.</param>
    /// <param name="size">The pixels of a side of the picture.</param>
    public static int Radius(Item item, int size) => item.IsLarge ? size / 8 : size / 16;

    /// <summary>Whether objects have white between them, and the relation of each to the next can be seen.</summary>
    public bool IsClear => !Enumerable.Range(0, objects.Count).Any(first => Enumerable.Range(first + 1, objects.Count - first - 1)
        .Any(second => second == first + 1 ? Relation(objects[first], objects[second]) is null : Touch(objects[first], objects[second])));

    /// <summary>Whether the scene is to validate on, which its hash says.</summary>
    public bool IsHeldOut => objects.Aggregate(0UL, (hash, item) => CounterRandom.Bits(hash, Key(item))) % HeldOutPart == 0;

    /// <summary>The words that describe the scene, with a full stop.</summary>
    public IReadOnlyList<string> Caption =>
    [
        .. objects.SelectMany((item, index) => (string[])
        [
            .. index == 0 ? [] : Relation(objects[index - 1], item)!.Split(' '),
            "a", item.IsLarge ? "large" : "small", ShapeColours.All[item.Colour].Name, ShapeNames[item.Shape],
        ]),
        End,
    ];

    public override Picture Draw()
    {
        using var canvas = new ShapeCanvas(size, size);
        foreach (var item in objects)
        {
            var (radius, colour) = (Radius(item, size), ShapeColours.All[item.Colour].Value);
            if (item.Shape == Circle) canvas.Circle(item.X, item.Y, radius, colour);
            else if (item.Shape == Square) canvas.Square(item.X, item.Y, radius, colour);
            else canvas.Triangle(item.X, item.Y, radius, colour);
        }
        return canvas.ToPicture();
    }

    public override void Write(TaskRow row, int question)
    {
        row.Sort = SortNames[objects.Count - 1];
        row.Give(Ids[Question]);
        row.AskInTurn([.. Caption.Select(word => Ids[word])]);
        row.Pad(Ids[Padding]);
    }

    // Along the axis on which they are at least twice as far from each other as on the other one, with a gap between them; null where the
    // eye could take it for another relation.
    private string? Relation(Item first, Item second)
    {
        var (x, y) = (Math.Abs(first.X - second.X), Math.Abs(first.Y - second.Y));
        var gap = Math.Max(x, y) - Radius(first, size) - Radius(second, size);
        if (gap < size / 16 || Math.Max(x, y) < 2 * Math.Min(x, y)) return null;
        return x > y ? first.X < second.X ? "left of" : "right of" : first.Y < second.Y ? "above" : "below";
    }

    private bool Touch(Item first, Item second) => Math.Max(Math.Abs(first.X - second.X), Math.Abs(first.Y - second.Y))
        <= Radius(first, size) + Radius(second, size) + 1;

    // Different for different objects: a picture has at most 2^12 pixels on a side.
    private static ulong Key(Item item) =>
        (ulong)(((item.Shape * Colours + item.Colour) * 2 + (item.IsLarge ? 1 : 0)) << 24 | item.X << 12 | item.Y);
}
