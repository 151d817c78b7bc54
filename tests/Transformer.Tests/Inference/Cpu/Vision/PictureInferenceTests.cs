using Transformer.Configuration;
using Transformer.Generation;
using Transformer.Inference;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;
using Transformer.Model;
using Transformer.Model.Vision;
using static TorchSharp.torch;

namespace Transformer.Tests.Inference.Cpu.Vision;

// T tokens · V vocabulary

/// <summary>Texts with pictures on the engine, whose numbers are those of libtorch wherever they are split.</summary>
public sealed class PictureInferenceTests
{
    private const double Tolerance = 1e-4;

    public static TheoryData<string> Kinds => [.. VisionCases.Models.Keys];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void In_one_pass_and_token_by_token_the_logits_are_those_of_libtorch(string kind)
    {
        using var model = VisionCases.Model(kind);
        using var engine = CpuInferenceModel.TryCreate(model, threads: 2)!;
        foreach (var text in VisionCases.Texts)
        {
            var (expected, ids) = (Expected(model, text), VisionCases.Ids(engine, text));
            Compare(TextLogits.Of(engine, ids));
            Compare(TextLogits.Of(engine, [.. ids.Select(id => new[] { id })]));

            void Compare(float[][] logits)
            {
                float[] found = [.. logits.SelectMany(token => token)];
                Assert.Equal(expected.Length, found.Length);
                for (var i = 0; i < found.Length; i++)
                    Near.Equal(expected[i], found[i], Tolerance, $"text {string.Join(' ', text)}, number {i}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Wherever_a_text_is_split_the_bits_are_the_same(string kind)
    {
        using var model = VisionCases.Model(kind);
        foreach (var format in (WeightFormat[])[WeightFormat.AsIs, WeightFormat.Q8])
        {
            using var engine = CpuInferenceModel.TryCreate(model, format, threads: 2)!;
            foreach (var text in VisionCases.Texts.Skip(3))
            {
                var ids = VisionCases.Ids(engine, text);
                var whole = TextLogits.Of(engine, ids);
                for (var split = 1; split < ids.Length; split += Math.Max(1, ids.Length / 12))
                    Assert.Equal(whole, TextLogits.Of(engine, ids[..split], ids[split..]));
                Assert.Equal(whole, TextLogits.Of(engine, [.. ids.Select(id => new[] { id })]));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Rows_with_and_without_pictures_give_the_bits_that_they_give_alone(string kind)
    {
        using var model = VisionCases.Model(kind);
        using var engine = CpuInferenceModel.TryCreate(model, threads: 2)!;
        int[][] texts = [.. VisionCases.Texts.Select(text => VisionCases.Ids(engine, text))];
        var alone = texts.Select(text => TextLogits.Of(engine, text)[^1]).ToArray();
        using var state = engine.NewState(texts.Length);
        int[] rows = [4, 0, 5, 2, 3, 1];
        int[] firsts = [.. rows.Select(row => 1 + row % (texts[row].Length - 1))];
        engine.Read(state, rows, firsts, [.. rows.SelectMany((row, part) => texts[row][..firsts[part]])]);
        engine.Read(
            state, rows, [.. rows.Select((row, part) => texts[row].Length - firsts[part])],
            [.. rows.SelectMany((row, part) => texts[row][firsts[part]..])]);
        for (var part = 0; part < rows.Length; part++) Assert.Equal(alone[rows[part]], engine.Logits(part).ToArray());
    }

    [Theory]
    [InlineData("prefix, linear")]
    [InlineData("cross, perceiver_resampler")]
    [InlineData("cross over a hybrid")]
    public void Texts_longer_than_a_batch_give_the_same_bits_as_their_tokens_one_by_one(string kind)
    {
        using var model = VisionCases.Model(VisionCases.Models[kind] with { ContextLength = 460 });
        using var engine = CpuInferenceModel.TryCreate(model, threads: 2)!;
        var text = Enumerable.Range(0, 430).Select(place => place % 47 == 13 || place is 191 or 192 ? -1 - place % 3 : place * 7 % 13);
        var ids = VisionCases.Ids(engine, [.. text])[..430];
        using var state = engine.NewState(rows: 3);
        engine.Read(state, [0, 1], [130, 430], [.. ids[300..], .. ids]);
        var whole = engine.Logits(1).ToArray();
        foreach (var id in ids) engine.Read(state, [2], [1], [id]);
        Assert.Equal(whole, engine.Logits(0).ToArray());
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Greedy_texts_are_those_that_libtorch_generates(string kind)
    {
        using var model = VisionCases.Model(kind);
        using var engine = CpuInferenceModel.TryCreate(model, threads: 2)!;
        using var libtorch = new TorchInferenceModel(model);
        Assert.Equal(Generate(libtorch), Generate(engine));

        static IEnumerable<IEnumerable<int>> Generate(InferenceModel model) =>
            new TextGenerator(model).Generate(
                [.. VisionCases.Texts.Take(5).Select(text => VisionCases.Ids(model, text))], new() { Temperature = 0, MaxTokens = 8 },
                cancellation: TestContext.Current.CancellationToken)
            .Select(text => text.Tokens);
    }

    [Fact]
    public void What_is_read_of_a_picture_depends_on_it_and_passes_the_gates_alone()
    {
        using var model = VisionCases.Model("cross, linear");
        using var engine = CpuInferenceModel.TryCreate(model)!;
        Assert.NotEqual(After(engine, -1), After(engine, -2));
        Assert.NotEqual(After(engine, -1, 4), After(engine, -2, 4));
        using (no_grad())
            foreach (var (name, parameter) in model.named_parameters())
                if (name.EndsWith("_residual.gate", StringComparison.Ordinal)) parameter.zero_();
        using var closed = CpuInferenceModel.TryCreate(model)!;
        Assert.Equal(After(closed, -1, 4, 7), After(closed, -2, 4, 7));

        static float[] After(InferenceModel engine, params int[] text) => TextLogits.Of(engine, VisionCases.Ids(engine, text))[^1];
    }

    [Fact]
    public void Embeddings_are_no_pictures()
    {
        using var model = VisionCases.Model("cross, linear");
        using var engine = CpuInferenceModel.TryCreate(model)!;
        VisionCases.Ids(engine, -1, -2);
        int[] text = [5, 1, 7];
        var table = model.Weight("model.embed_tokens.weight").detach().data<float>().ToArray();
        float[] embeddings = [.. text.SelectMany(id => table[(id * 16)..((id + 1) * 16)])];
        var expected = TextLogits.Of(engine, text)[^1];
        using var state = engine.NewState(rows: 1);
        engine.Read(state, [0], [3], InferenceInput.OfEmbeddings(embeddings, 16));
        Assert.Equal(expected, engine.Logits(0).ToArray());
    }

    [Fact]
    public void A_picture_that_was_not_read_and_a_picture_of_a_model_of_text_are_refused()
    {
        using var model = VisionCases.Model("cross, linear");
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var state = engine.NewState(rows: 1);
        Assert.Throws<ArgumentOutOfRangeException>(() => engine.Read(state, [0], [1], [-1]));
        using var textModel = new TransformerModel(Tiny.Config);
        using var text = CpuInferenceModel.TryCreate(textModel)!;
        Assert.Contains("reads text alone", Assert.Throws<InputException>(() => text.Picture(new float[3])).Message);
    }

    // The logits of all tokens in one pass of libtorch, without a state.
    private static float[] Expected(TransformerModel model, int[] text)
    {
        using var inference = inference_mode();
        using var scope = NewDisposeScope();
        var vision = model.Config.Vision!;
        long[] ids = [.. text.SelectMany(id => id < 0 ? Enumerable.Repeat(-1L, vision.Placeholders) : [id])];
        int[] seeds = [.. text.Where(id => id < 0).Select(id => -id)];
        var side = vision.Image.Size;
        var pictures = seeds.Length == 0 ? null : new PictureVectors(
            model.EncodePictures(cat([.. seeds.Select(seed => tensor(VisionCases.Pixels(model.Config, seed), 1, 3, side, side))])),
            [.. Enumerable.Range(0, seeds.Length)]);
        return [.. model.Logits(model.Hidden(tensor(ids).unsqueeze(0), pictures: pictures)).data<float>()];
    }
}
