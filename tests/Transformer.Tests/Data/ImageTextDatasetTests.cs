using Transformer.Configuration;
using Transformer.Data;
using Transformer.Data.Images;
using Transformer.Runs;
using Transformer.Tokenization;

namespace Transformer.Tests.Data;

public sealed class ImageTextDatasetTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Only_the_answer_and_its_end_are_targets_and_rows_have_pictures_of_their_own()
    {
        using var data = Open();
        var batch = data.HeldOut(4, 100).Single();
        var text = data.Tokenizer;
        Assert.Equal((2, 11), (batch.Rows, batch.Columns));
        Assert.Equal("<image> and <image> two", Shown(batch, 0, text));
        Assert.Equal(" two\n", text.Decode([.. Row(batch.Targets, batch, 0).Where(id => id >= 0).Select(id => (int)id)]));
        Assert.Equal("words none\n", text.Decode([.. Row(batch.Inputs, batch, 1).Take(10).Select(id => (int)id)]) + "\n");
        Assert.Equal([1, 0], batch.Pictures!.Of.Select(picture => (int)batch.Pictures.Distinct[picture].Pixels[0]));
    }

    [Fact]
    public void A_model_reads_as_many_placeholders_as_a_picture_has_vectors_and_each_picture_once()
    {
        using var data = Open();
        var vision = new PrefixVisionConfig { Image = new() { Size = 8 }, Patch = 4 };
        var batch = data.HeldOut(4, 100).Single().ReadBy(vision);
        Assert.Equal(11 + 2 * 3, batch.Columns);
        Assert.Equal(8, Row(batch.Inputs, batch, 0).Count(id => id == Batch.ImagePlaceholder));
        Assert.Equal((2, 8), (batch.Pixels!.Count, batch.Pixels.Size));
        Assert.Equal([0, 1], batch.Pixels.Of);
        Assert.Equal(batch.Pixels.Levels, data.HeldOut(Tiny.Config with { Vision = vision }, 4).Single().Pixels!.Levels);
        var second = batch.Share(1, 2);
        Assert.Equal((1, 0, 0), (second.Rows, second.Pixels!.Count, second.Pixels.Of.Count));
        Assert.Equal(2, batch.Share(0, 2).Pixels!.Count);
    }

    [Fact]
    public void A_batch_is_a_function_of_its_position_and_an_epoch_has_every_row_once()
    {
        using var data = Open();
        var run = Run();
        using var whole = data.Train(run);
        var rows = Enumerable.Range(0, 3).Select(_ => Answers(whole.Next())).ToList();
        using var later = data.Train(run, position: 1);
        Assert.Equal(rows[1], Answers(later.Next()));
        Assert.Equal(3, rows.SelectMany(row => row).Count());
        Assert.Equal(["a", "b", "c"], rows.SelectMany(row => row).Select(answer => answer.Trim()).Order());

        IEnumerable<string> Answers(Batch batch) => Enumerable.Range(0, batch.Rows)
            .Select(row => data.Tokenizer.Decode([.. Row(batch.Targets, batch, row).Where(id => id >= 0).Select(id => (int)id)]));
    }

    [Fact]
    public void A_row_that_does_not_fit_the_context_with_its_pictures_is_named()
    {
        using var data = Open();
        data.RequireContext(11 + 2 * 3, placesOfPicture: 4);
        var refused = Assert.Throws<InputException>(() => data.RequireContext(11 + 2 * 3 - 1, placesOfPicture: 4));
        Assert.Contains("row 4 has 17 tokens", refused.Message);
    }

    [Fact]
    public void The_checksum_changes_with_the_rows_and_with_a_picture()
    {
        string first, second;
        using (var data = Open()) first = data.Checksum;
        PictureFile.Write(new Picture(3, 3, new byte[27]), folder["0.png"]);
        using (var data = Open()) second = data.Checksum;
        Assert.NotEqual(first, second);
    }

    private ImageTextDataset Open()
    {
        for (var number = 0; number < 3; number++)
            if (!File.Exists(folder[$"{number}.png"]))
                PictureFile.Write(
                    new Picture(8, 8, [.. Enumerable.Repeat((byte)number, 8 * 8 * 3)]), folder[$"{number}.png"]);
        var rows = folder.Write("rows.jsonl", """
            {"text": "<image> what?", "images": ["0.png"], "answer": "a"}
            {"text": "<image> what?", "image": "1.png", "answer": "b"}
            {"text": "<image> what?", "image": "2.png", "answer": "c"}
            {"text": "<image> and <image>", "images": ["1.png", "0.png"], "answer": " two"}
            {"text": "words", "answer": "none"}
            """);
        return ImageTextDataset.Open(new DataConfig { Kind = DataKind.ImageText, Path = rows, ValidationFraction = 0.4 });
    }

    private static RunConfig Run() => new()
    {
        Model = Tiny.Config,
        Data = new DataConfig { Kind = DataKind.ImageText, Path = "rows.jsonl" },
        Training = new TrainingConfig { Steps = 1, BatchSize = 1, Optimizer = new AdamWConfig { LearningRate = 1e-3 } },
    };

    private static Span<long> Span(long[] numbers, Batch batch, int row) => numbers.AsSpan(row * batch.Columns, batch.Columns);

    private static long[] Row(long[] numbers, Batch batch, int row) => Span(numbers, batch, row).ToArray();

    private static string Shown(Batch batch, int row, Tokenizer tokenizer) => string.Concat(Row(batch.Inputs, batch, row)
        .Select(id => id == Batch.ImagePlaceholder ? "<image>" : tokenizer.Decode([(int)id])));
}
