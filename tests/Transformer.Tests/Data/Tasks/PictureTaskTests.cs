using Transformer.Data;
using Transformer.Data.Images;
using Transformer.Data.Tasks;
using Transformer.Runs;

namespace Transformer.Tests.Data.Tasks;

public sealed class PictureTaskTests
{
    private static readonly RunConfig Run = ConfigFile.Load("copy", []);
    private static readonly SortOfClevrTaskConfig Clevr = new();

    public static TheoryData<TaskConfig> Tasks => [Clevr, new CaptionedScenesTaskConfig()];

    [Theory, MemberData(nameof(Tasks))]
    public void Pictures_and_rows_follow_the_seed_and_the_split(TaskConfig task)
    {
        string[] Seen(int seed, TaskSplit split)
        {
            using var data = new TaskDataset(task with { Seed = seed });
            return [.. PictureRow.First(data, split, 60).Select(row => $"{Pixels(row.Picture)} {row.Text} {row.Answer}")];
        }

        var first = Seen(0, TaskSplit.Training);
        Assert.Equal(first, Seen(0, TaskSplit.Training));
        Assert.Empty(first.Intersect(Seen(0, TaskSplit.Validation)));
        Assert.Empty(first.Intersect(Seen(1, TaskSplit.Training)));
    }

    [Fact]
    public void A_picture_is_the_same_one_whichever_rows_ask_about_it()
    {
        using var data = new TaskDataset(Clevr);
        var whole = PictureRow.First(data, TaskSplit.Training, 60);
        var some = data.Rows(TaskSplit.Training, [41, 3, 59, 17]);
        Assert.Equal([0, 1, 0, 1], some.Pictures!.Of);
        Assert.Equal([Pixels(whole[41].Picture), Pixels(whole[3].Picture)], some.Pictures.Distinct.Select(Pixels));
        Assert.Equal([whole[41].Text, whole[3].Text, whole[59].Text, whole[17].Text], PictureRow.Of(data, some).Select(row => row.Text));
    }

    [Fact]
    public void The_published_set_is_the_one_without_further_keys()
    {
        Assert.Equal((196_000, 4_000), (Clevr.TrainingRows, Clevr.ValidationRows));
        using var data = new TaskDataset(Clevr);
        Assert.Equal(4_000, data.HeldOut(1_000, 64).Sum(batch => batch.Predictions));
    }

    [Theory]
    [InlineData(4, 8, 2)]
    [InlineData(20, 40, 2)]
    [InlineData(1, 8, 8)]
    public void Training_draws_questions_about_a_picture_together(int atOnce, int batchSize, int mostPictures)
    {
        using var data = new TaskDataset(Clevr with { QuestionsAtOnce = atOnce });
        using var batches = data.Train(Run with { Training = Run.Training with { BatchSize = batchSize } });
        var pictures = Enumerable.Range(0, 10).Select(_ => batches.Next().Pictures!).ToList();
        Assert.All(pictures, some => Assert.InRange(some.Distinct.Count, 1, mostPictures));
        Assert.Equal(mostPictures, pictures.Max(some => some.Distinct.Count));
        Assert.All(pictures.SelectMany(some => some.Of.Chunk(atOnce)), together => Assert.Single(together.Distinct()));
    }

    [Theory]
    [InlineData(6)]
    [InlineData(20)]
    public void Every_question_comes_once_an_epoch_in_a_new_order_also_where_a_batch_splits_a_group(int batchSize)
    {
        using var data = new TaskDataset(Clevr with { Pictures = 6 });
        using var batches = data.Train(Run with { Training = Run.Training with { BatchSize = batchSize } });
        var epochs = Enumerable.Range(0, 2).Select(_ => Enumerable.Range(0, 120 / batchSize)
            .SelectMany(_ => PictureRow.Of(data, batches.Next())).Select(row => $"{Pixels(row.Picture)} {row.Text}").ToList()).ToList();
        var all = PictureRow.First(data, TaskSplit.Training, 120).Select(row => $"{Pixels(row.Picture)} {row.Text}").Order().ToList();
        Assert.All(epochs, epoch => Assert.Equal(all, epoch.Order()));
        Assert.NotEqual(epochs[0], epochs[1]);
    }

    [Theory]
    [InlineData(null)]
    [InlineData(3)]
    public void A_run_that_resumes_anywhere_sees_the_pictures_of_an_uninterrupted_one(int? pictures)
    {
        using var data = new TaskDataset(Clevr with { Pictures = pictures });
        using var whole = data.Train(Run);
        for (var position = 0; position < 5; position++)
        {
            var batch = whole.Next();
            using var resumed = data.Train(Run, position);
            var again = resumed.Next();
            Assert.Equal(batch.Inputs, again.Inputs);
            Assert.Equal(batch.Pictures!.Distinct.Select(Pixels), again.Pictures!.Distinct.Select(Pixels));
        }
    }

    // Four rows with no picture, two, one and one, of which the last is the first of all.
    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Ranks_have_the_pictures_and_sorts_of_their_own_rows_and_no_others(int ranks)
    {
        const long Image = Batch.ImagePlaceholder;
        Picture[] pictures = [new(1, 1, [1, 1, 1]), new(1, 1, [2, 2, 2]), new(1, 1, [3, 3, 3])];
        var batch = new Batch([7, 7, Image, Image, Image, 7, 7, Image], new long[8], 4, 2)
        {
            Pictures = new([pictures[2], pictures[1], pictures[0]], [2, 1, 0, 2]),
            Sorts = ["a", "b", "c", "d"],
        };

        var shares = Enumerable.Range(0, ranks).Select(rank => batch.Share(rank, ranks)).ToList();
        Assert.Equal(batch.Sorts, shares.SelectMany(share => share.Sorts!));
        var read = shares.SelectMany(share => share.Pictures!.Of.Select(index => (int)share.Pictures.Distinct[index].Pixels[0]));
        Assert.Equal([1, 2, 3, 1], read);
        Assert.All(shares, share =>
        {
            Assert.Equal(share.Inputs.Count(id => id == Image), share.Pictures!.Of.Count);
            Assert.Equal(Enumerable.Range(0, share.Pictures.Distinct.Count), share.Pictures.Of.Distinct().Order());
        });
    }

    [Fact]
    public void A_sample_shows_the_picture_that_its_prompt_asks_about()
    {
        using var data = new TaskDataset(Clevr);
        var prompt = data.SamplePrompt();
        var row = PictureRow.First(data, TaskSplit.Validation, 1)[0];
        Assert.Equal(((int)Batch.ImagePlaceholder, 1), (prompt.Tokens[0], prompt.Answer));
        Assert.Equal(row.Text, data.Tokenizer.Decode(prompt.Tokens.AsSpan(1)));
        Assert.Equal(Pixels(row.Picture), Pixels(Assert.Single(prompt.Pictures)));

        using var text = new TaskDataset(new CopyTaskConfig());
        Assert.Empty(text.SamplePrompt().Pictures);
        Assert.Null(text.HeldOut(4, 64).First().Pictures);
        Assert.Null(text.HeldOut(4, 64).First().Sorts);
    }

    private static string Pixels(Picture picture) => Convert.ToBase64String(picture.Pixels);
}
