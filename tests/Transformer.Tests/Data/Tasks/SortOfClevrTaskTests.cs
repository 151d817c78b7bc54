using Transformer.Data;
using Transformer.Data.Tasks;
using Transformer.Runs;

namespace Transformer.Tests.Data.Tasks;

public sealed class SortOfClevrTaskTests
{
    private const int Questions = 20;
    private static readonly SortOfClevrTaskConfig Task = new();

    // Two squares and a circle at the left, three circles at the right; red is nearest to green and furthest from grey.
    private static readonly SortOfClevrScene.Item[] Checked =
    [
        new(10, 10, IsSquare: true), new(12, 25, IsSquare: false), new(9, 60, IsSquare: true),
        new(50, 14, IsSquare: false), new(68, 66, IsSquare: false), new(45, 50, IsSquare: false),
    ];

    [Fact]
    public void A_solver_that_sees_only_the_picture_finds_every_answer()
    {
        using var data = new TaskDataset(Task);
        foreach (var row in PictureRow.First(data, TaskSplit.Training, 100 * Questions))
        {
            var objects = SeenObject.In(row.Picture);
            Assert.Equal((6, 75, 75), (objects.Length, row.Picture.Width, row.Picture.Height));
            Assert.All(objects, item => Assert.Equal(11, item.Width));
            Assert.Equal((row.Text, Solve(row.Text, objects)), (row.Text, row.Answer));
        }
    }

    [Theory]
    [InlineData(0, 0, "shape red -> square", "nearest red -> circle")]
    [InlineData(4, 1, "left grey -> no", "furthest grey -> square")]
    [InlineData(5, 2, "top yellow -> no", "count yellow -> 4")]
    [InlineData(1, 0, "shape green -> circle", "nearest green -> square")]
    [InlineData(2, 1, "left blue -> yes", "furthest blue -> circle")]
    [InlineData(3, 2, "top orange -> yes", "count orange -> 4")]
    public void Questions_about_a_scene_have_the_answers_that_were_found_by_hand(int colour, int subtype, params string[] expected)
    {
        var scene = new SortOfClevrScene(Checked, [(colour, subtype), (colour, subtype)]);
        var rows = Enumerable.Range(0, 2).Select(question => Asked(scene, question));
        Assert.Equal(expected, rows.Select(row => $"{row.Text} -> {row.Answer}"));
    }

    [Fact]
    public void Every_four_rows_have_two_questions_about_an_object_and_two_about_relations()
    {
        using var data = new TaskDataset(Task);
        foreach (var four in PictureRow.First(data, TaskSplit.Validation, 10 * Questions).Chunk(4))
        {
            Assert.Equal(["non_relational", "non_relational", "relational", "relational"], four.Select(row => row.Sort).Order());
            Assert.All(four, row => Assert.Equal(
                row.Text.Contains("nearest") || row.Text.Contains("furthest") || row.Text.Contains("count"),
                row.Sort == "relational"));
        }
    }

    [Fact]
    public void Objects_lie_within_the_picture_and_do_not_overlap_and_no_two_are_equally_far_from_a_third()
    {
        var draws = Enumerable.Range(0, 2000).Select(picture => SortOfClevrScene.From(new RowRandom((ulong)picture), Questions).Objects);
        Assert.All(draws, objects =>
        {
            Assert.All(objects, item => Assert.True(item.X is >= 5 and <= 69 && item.Y is >= 5 and <= 69));
            foreach (var item in objects)
            {
                var others = objects.Where(other => other != item).ToList();
                Assert.All(others, other => Assert.True(Math.Abs(item.X - other.X) > 10 || Math.Abs(item.Y - other.Y) > 10));
                Assert.Equal(5, others.Select(other => item.SquaredDistance(other)).Distinct().Count());
            }
        });
    }

    // Half of the answers about an object, and 1/2, 1/2 and 10/32 of those about relations.
    [Fact]
    public void Without_the_picture_no_more_can_be_answered_than_published()
    {
        var task = new SortOfClevrTask(Task);
        var rows = Enumerable.Range(0, 9800).Select(picture => task.SceneOf(TaskSplit.Training, new RowRandom((ulong)picture)))
            .SelectMany(scene => Enumerable.Range(0, Questions).Select(question => Asked(scene, question))).ToList();
        Assert.Equal(.5, BestConstant("non_relational"), .01);
        Assert.Equal(.4375, BestConstant("relational"), .01);

        double BestConstant(string sort)
        {
            var asked = rows.Where(row => row.Sort == sort).ToList();
            return asked.GroupBy(row => string.Join(' ', row.Text.Split(' ').Except(Colours)))
                .Sum(question => question.CountBy(row => row.Answer).Max(answer => answer.Value)) / (double)asked.Count;
        }
    }

    [Fact]
    public void Colours_and_questions_are_equally_frequent()
    {
        using var data = new TaskDataset(Task);
        var texts = PictureRow.First(data, TaskSplit.Training, 200 * Questions).CountBy(row => row.Text).ToList();
        Assert.Equal(36, texts.Count);
        // 111 each on average, with a standard deviation of 10
        Assert.All(texts, text => Assert.InRange(text.Value, 60, 160));
    }

    private static string[] Colours => ["red", "green", "blue", "orange", "grey", "yellow"];

    private static (string Text, string Answer, string Sort) Asked(Scene scene, int question)
    {
        var batch = new Batch(new long[9], new long[9], 1, 9);
        Array.Fill(batch.Targets, Batch.IgnoredTarget);
        var row = new TaskRow(batch, 0, TaskSplit.Training, (ulong)question);
        scene.Write(row, question);
        var end = Array.FindIndex(batch.Targets, target => target != Batch.IgnoredTarget);
        var words = SortOfClevrScene.Words;
        return (string.Join(' ', batch.Inputs.Take(end + 1).Select(id => words[(int)id])), words[(int)batch.Targets[end]], row.Sort!);
    }

    private static string Solve(string text, SeenObject[] objects)
    {
        var words = text.Split(' ');
        var asked = objects.Single(item => words.Contains(item.Colour));
        var others = objects.Where(item => item != asked).OrderBy(asked.SquaredDistance).ToList();
        return text.Replace(asked.Colour, "it", StringComparison.Ordinal) switch
        {
            "shape it" => asked.Shape,
            "left it" => asked.X < 37.5 ? "yes" : "no",
            "top it" => asked.Y < 37.5 ? "yes" : "no",
            "nearest it" => others[0].Shape,
            "furthest it" => others[^1].Shape,
            "count it" => $"{objects.Count(item => item.Shape == asked.Shape)}",
            var other => throw new InvalidOperationException(other),
        };
    }
}
