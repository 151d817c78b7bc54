using System.Text;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Model;
using Transformer.Runs;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Tests.Data;

/// <summary>The pieces of a tokenizer teach where groups of bytes end.</summary>
public sealed class PieceEndsTests
{
    private static readonly BpeTokenizerConfig Gpt2 = new()
    {
        Vocabulary = Golden.PathOf("gpt2/vocab.json"),
        Merges = Golden.PathOf("gpt2/merges.txt"),
    };

    private static readonly Tokenizer Pieces = Tokenizer.FromConfig(Gpt2);

    [Theory]
    [InlineData("the house is unbelievably large.")]
    [InlineData("  two spaces,\n\na break")]
    [InlineData("caf\u00e9 \u4f60\u597d \ud83d\ude00 end")]
    public void A_byte_that_ends_a_piece_is_marked_and_no_other(string text)
    {
        var expected = new float[Encoding.UTF8.GetByteCount(text)];
        var place = 0;
        foreach (var piece in Pieces.Encode(text)[..^1]) expected[(place += Pieces.BytesOf(piece).Length) - 1] = 1;
        Assert.Equal(expected, Ends(Encoding.UTF8.GetBytes(text)));
        Assert.Contains(1f, expected);
    }

    [Fact]
    public void A_row_may_begin_and_end_within_a_character()
    {
        var whole = Encoding.UTF8.GetBytes("\u00e9 tree house \u00e9");
        var row = whole[1..^1];
        var ends = Ends(row);
        Assert.Equal(row.Length, ends.Length);
        Assert.Equal(1, ends[Array.IndexOf(row, (byte)'e', 3) + 1]);    // "tree"
    }

    [Fact]
    public void Ranks_get_the_ends_of_their_own_rows()
    {
        var batch = new Batch([1, 2, 3, 4], [2, 3, 4, 5], Rows: 2, Columns: 2) { PieceEnds = [0, 1, 1, 0] };
        Assert.Equal([1f, 0f], batch.Share(1, 2).PieceEnds!);
    }

    [Fact]
    public void The_network_learns_them_by_cross_entropy_and_the_loss_of_words_has_no_other_term()
    {
        manual_seed(1);
        var config = Tiny.Config with
        {
            Layers = [1, new HourglassConfig { Boundaries = new PieceBoundariesConfig { Hidden = 8 }, Layers = 1 }, 1]
        };
        using var model = new TransformerModel(config);
        var (ids, ends) = (Tiny.Ids(2, 9), (rand(2, 9) > 0.5).to(ScalarType.Float32));
        var penalty = model.HiddenAndPenalty(ids, pieceEnds: ends).Penalty!;
        var found = Assert.Single(model.Boundaries(ids));
        Near.Equal(nn.functional.binary_cross_entropy_with_logits(found.Logits!, ends), penalty, 1e-6);
        Near.Equal((found.Logits! > 0).to(ScalarType.Float32), found.Ends, 0);
        Assert.Null(model.HiddenAndPenalty(ids).Penalty);
    }

    [Theory]
    [InlineData("model.layers=[1,{boundaries: {kind: pieces}, layers: 1},1]", "data.pieces: missing; expected the tokenizer")]
    [InlineData("data.pieces={kind: file, path: tokenizer.json}", "data.pieces: no hourglass has boundaries of kind pieces")]
    [InlineData("data.pieces={kind: byte}", "data.pieces.kind: found byte, whose pieces are no longer than tokens")]
    public void A_model_without_a_teacher_and_a_teacher_without_a_model_are_refused(string set, string message) =>
        Assert.Contains(
            message, Assert.Throws<InputException>(() => ConfigFile.Parse(ConfigLibrary.Recipe("shakespeare-char"), "test", [set])).Message,
            StringComparison.Ordinal);

    [Fact]
    public void Training_batches_of_a_text_tell_where_pieces_end()
    {
        using var here = new TemporaryFolder();
        File.WriteAllText(here["text.txt"], string.Concat(Enumerable.Repeat("The quick brown fox jumps over the lazy dog. ", 40)));
        var run = new RunConfig
        {
            Model = Tiny.Config with { VocabularySize = 256 },
            Data = new DataConfig { Path = here["text.txt"], Tokenizer = new ByteTokenizerConfig(), Pieces = Gpt2 },
            Training = new TrainingConfig { Steps = 1, BatchSize = 2, Optimizer = new AdamWConfig { LearningRate = 1e-3 } },
        };
        using var data = Dataset.Open(run.Data);
        using var batches = data.Train(run);
        var batch = batches.Next();
        Assert.Equal(Ends(batch), batch.PieceEnds);
        Assert.NotEqual(Ends(batch), batches.Next().PieceEnds);
    }

    private static float[] Ends(byte[] bytes)
    {
        long[] ids = [.. bytes.Select(value => (long)value)];
        return Ends(new Batch(ids, ids, Rows: 1, ids.Length));
    }

    private static float[] Ends(Batch batch) => new PieceEnds(new ByteTokenizer(), Pieces).Of(batch);
}
