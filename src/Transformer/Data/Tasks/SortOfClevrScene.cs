using Transformer.Data.Images;

namespace Transformer.Data.Tasks;

/// <summary>Six objects of Sort-of-CLEVR, one of each colour, and the questions about them.</summary>
/// <param name="objects">One of each colour, in the order of the colours.</param>
/// <param name="questions">For each row the colour and which of the three questions of its sort it asks.</param>
internal sealed class SortOfClevrScene(
    IReadOnlyList<SortOfClevrScene.Item> objects, IReadOnlyList<(int Colour, int Subtype)> questions) : Scene
{
    /// <summary>The pixels of a side of the picture.</summary>
    public const int Side = 75;

    /// <summary>The pixels of an object on each side of its middle.</summary>
    public const int Radius = 5;

    /// <summary>The sort of a question about one object.</summary>
    public const string NonRelational = "non_relational";

    /// <summary>The sort of a question about several objects.</summary>
    public const string Relational = "relational";

    private const int Subtypes = 3;
    private static readonly string[] AboutObject = ["shape", "left", "top"], AboutRelations = ["nearest", "furthest", "count"];

    /// <summary>Answers, colours, and what can be asked of a colour.</summary>
    public static IReadOnlyList<string> Words { get; } =
    [
        "square", "circle", "yes", "no", .. ShapeColours.All.Select((_, count) => $"{count + 1}"),
        .. ShapeColours.All.Select(colour => colour.Name),
        .. AboutObject, .. AboutRelations,
    ];

    private static readonly Dictionary<string, int> Ids = Words.Index().ToDictionary(word => word.Item, word => word.Index);

    /// <summary>An object.</summary>
    /// <param name="X">Its middle from the left.</param>
    /// <param name="Y">Its middle from the top.</param>
    /// <param name="IsSquare">A square or a circle.</param>
    public readonly record struct Item(int X, int Y, bool IsSquare)
    {
        /// <summary>The square of the distance between the middles.</summary>
        public int SquaredDistance(Item other) => (X - other.X) * (X - other.X) + (Y - other.Y) * (Y - other.Y);
    }

    /// <summary>One of each colour, in the order of the colours.</summary>
    public IReadOnlyList<Item> Objects => objects;

    /// <summary>A random scene.</summary>
    /// <param name="random">The picture's random numbers.</param>
    /// <param name="questions">How many questions it has.</param>
    public static SortOfClevrScene From(RowRandom random, int questions)
    {
        var objects = new List<Item>();
        while (objects.Count < ShapeColours.All.Count)
        {
            var item = new Item(Radius + random.Below(Side - 2 * Radius), Radius + random.Below(Side - 2 * Radius), random.Below(2) == 0);
            if (Fits(item, objects)) objects.Add(item);
        }
        var asked = Enumerable.Range(0, questions).Select(_ => (random.Below(ShapeColours.All.Count), random.Below(Subtypes)));
        return new(objects, [.. asked]);
    }

    public override Picture Draw()
    {
        using var canvas = new ShapeCanvas(Side, Side);
        foreach (var ((x, y, isSquare), (_, colour)) in objects.Zip(ShapeColours.All))
        {
            if (isSquare) canvas.Square(x, y, Radius, colour);
            else canvas.Circle(x, y, Radius, colour);
        }
        return canvas.ToPicture();
    }

    /// <summary>What is asked, then the colour. The sorts take turns, so that every two rows have one of each.</summary>
    public override void Write(TaskRow row, int question)
    {
        var (colour, subtype) = questions[question];
        var isRelational = question % 2 == 1;
        row.Sort = isRelational ? Relational : NonRelational;
        row.Give(Ids[(isRelational ? AboutRelations : AboutObject)[subtype]]);
        row.Give(Ids[ShapeColours.All[colour].Name]);
        row.Ask(Ids[isRelational ? AnswerAboutRelations(colour, subtype) : AnswerAboutObject(objects[colour], subtype)]);
    }

    private static string AnswerAboutObject(Item item, int subtype) => subtype switch
    {
        0 => Shape(item),
        1 => YesOrNo(2 * item.X < Side),
        _ => YesOrNo(2 * item.Y < Side),
    };

    private string AnswerAboutRelations(int colour, int subtype)
    {
        var item = objects[colour];
        var others = objects.Where((_, other) => other != colour);
        return subtype switch
        {
            0 => Shape(others.MinBy(item.SquaredDistance)),
            1 => Shape(others.MaxBy(item.SquaredDistance)),
            _ => $"{objects.Count(other => other.IsSquare == item.IsSquare)}",
        };
    }

    // Without overlap, and with no two objects equally far from a third one, so that the nearest and the furthest are known.
    private static bool Fits(Item item, List<Item> others)
    {
        if (others.Exists(other => Math.Max(Math.Abs(item.X - other.X), Math.Abs(item.Y - other.Y)) <= 2 * Radius)) return false;
        Item[] all = [.. others, item];
        return Array.TrueForAll(all, one => all.Select(one.SquaredDistance).Distinct().Count() == all.Length);
    }

    private static string Shape(Item item) => item.IsSquare ? "square" : "circle";

    private static string YesOrNo(bool yes) => yes ? "yes" : "no";
}
