using Microsoft.ML.OnnxRuntime;
using Transformer.Configuration;
using Transformer.Generation;
using Transformer.Inference.Torch;
using Transformer.Model;
using Transformer.Onnx;
using static TorchSharp.torch;
using static Transformer.Tests.Onnx.OnnxCases;

namespace Transformer.Tests.Onnx;

public sealed class OnnxModelTests : IDisposable
{
    private const double Tolerance = 1e-4;

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    public static TheoryData<string, OnnxOperators> Kinds => InBothForms(Models.Keys);

    public static TheoryData<string, OnnxOperators> SomeKinds => InBothForms([.. Graphs.Keys, .. GroupQuery.Keys, .. Mixed.Keys]);

    public static TheoryData<string> TinyKinds => [.. Graphs.Keys];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Logits_are_those_of_the_model_in_one_pass_and_in_several(string kind, OnnxOperators operators)
    {
        using var model = ModelOf(kind);
        using var onnx = Exported(model, operators);
        var length = model.Config.ContextLength;
        int[][] rows = [Tokens(length, 1), Tokens(length, 4), Tokens(length, 9)];
        using (var state = onnx.NewState(3))
            AssertNear([.. rows.SelectMany(row => Expected(model, row))], Read(onnx, state, rows), Tolerance, "one pass");
        using (var state = onnx.NewState(1))
        {
            int[][] parts = [rows[0][..5], rows[0][5..8], .. rows[0][8..].Chunk(1)];
            AssertNear(Expected(model, parts), [.. parts.SelectMany(part => Read(onnx, state, part))], Tolerance, "5 + 3 + single tokens");
        }
    }

    // Padding follows the shorter rows of a pass, and rows that pause get nothing but padding.
    [Theory]
    [MemberData(nameof(SomeKinds))]
    public void Rows_of_unequal_length_do_not_see_each_other(string kind, OnnxOperators operators)
    {
        using var model = ModelOf(kind);
        using var onnx = Exported(model, operators);
        int[][] rows = [Tokens(9, 1), Tokens(9, 4), Tokens(9, 9)];
        using var state = onnx.NewState(3);
        Read(onnx, state, rows[0][..6], rows[1][..2], rows[2][..4]);
        onnx.Read(state, [1, 2], [3, 1], [.. rows[1][2..5], rows[2][4]]);
        onnx.Read(state, [0, 1, 2], [1, 1, 2], [rows[0][6], rows[1][5], .. rows[2][5..7]]);
        var found = Logits(onnx, 3);

        int[][][] parts = [
            [rows[0][..6], rows[0][6..7]], [rows[1][..2], rows[1][2..5], rows[1][5..6]], [rows[2][..4], rows[2][4..5], rows[2][5..7]]];
        AssertNear([.. parts.SelectMany(row => Expected(model, row)[^13..])], found, Tolerance, "last tokens");
    }

    // Hugging Face's libraries put padding before the shorter prompts of a batch.
    [Theory]
    [MemberData(nameof(TinyKinds))]
    public void Padding_before_a_text_changes_nothing(string kind)
    {
        using var model = ModelOf(kind);
        Exported(model).Dispose();
        using var session = new InferenceSession(folder["onnx/model.onnx"]);
        var text = Tokens(5, 4);
        long[] ids = [0, 0, .. text], mask = [0, 0, 1, 1, 1, 1, 1], positions = [1, 1, 0, 1, 2, 3, 4];
        var values = new Dictionary<string, OrtValue>();
        foreach (var (name, value) in session.InputMetadata)
        {
            long[]? given = name switch { "input_ids" => ids, "attention_mask" => mask, "position_ids" => positions, _ => null };
            values[name] = given is null
                ? OrtValue.CreateAllocatedTensorValue(
                    OrtAllocator.DefaultInstance, value.ElementDataType,
                    [1, .. value.Dimensions.Skip(1).Select(size => Math.Max(0L, size))])
                : OrtValue.CreateTensorValueFromMemory(given, [1, given.Length]);
            if (given is null) values[name].GetTensorMutableDataAsSpan<float>().Clear();
        }
        using var options = new RunOptions();
        using var results = session.Run(options, values, ["logits"]);
        AssertNear(Expected(model, text), results[0].GetTensorDataAsSpan<float>()[(2 * 13)..].ToArray(), Tolerance, "logits");
        foreach (var value in values.Values) value.Dispose();
    }

    public static IReadOnlyDictionary<string, ModelConfig> Longer { get; } = new Dictionary<string, ModelConfig>
    {
        ["llama"] = Models["rope"] with { ContextLength = 200, Initialization = new Gpt2InitializationConfig { Deviation = 0.15 } },
        ["gpt2"] = Models["gpt2"] with { ContextLength = 200, Initialization = new Gpt2InitializationConfig { Deviation = 0.15 } },
        ["hybrid"] = Models["hybrid"] with { ContextLength = 200, Initialization = new Gpt2InitializationConfig { Deviation = 0.15 } },
        ["wide"] = Models["wide"] with { ContextLength = 200 },
        ["wide, gpt2"] = Models["wide, gpt2"] with { ContextLength = 200 },
        ["wide, rope_yarn"] = Models["wide, rope_yarn"] with { ContextLength = 200 },
        ["wide, sliding"] = Models["wide"] with
        {
            ContextLength = 200,
            Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 1, Window = new SlidingWindowConfig { Size = 40 } }
        },
        ["wide hybrid"] = Models["wide hybrid"] with { ContextLength = 200 },
    };

    public static TheoryData<string, OnnxOperators> LongerKinds => InBothForms(Longer.Keys);

    [Theory]
    [MemberData(nameof(LongerKinds))]
    public void Logits_of_200_tokens_are_those_of_the_model_after_a_prompt_and_token_by_token(string kind, OnnxOperators operators)
    {
        random.manual_seed(1337);
        using var model = new TransformerModel(Longer[kind]);
        using var onnx = Exported(model, operators);
        int[][] texts = [Tokens(200, 5), Tokens(200, 2), Tokens(200, 7)];
        float[][] expected = [.. texts.Select(text => Expected(model, text))];
        foreach (var rows in new[] { 1, 3 })
        {
            using var state = onnx.NewState(rows);
            var found = texts.Take(rows).Select(_ => new List<float>()).ToArray();
            foreach (var part in new[] { 0..150 }.Concat(Enumerable.Range(150, 50).Select(at => at..(at + 1))))
            {
                var logits = Read(onnx, state, [.. texts.Take(rows).Select(text => text[part])]);
                for (var row = 0; row < rows; row++) found[row].AddRange(logits.Chunk(logits.Length / rows).ElementAt(row));
            }
            for (var row = 0; row < rows; row++) AssertNear(expected[row], found[row], Tolerance, $"logits of row {row} of {rows}");
        }
    }

    [Theory]
    [MemberData(nameof(LongerKinds))]
    public void Prompts_of_unequal_length_go_on_with_the_tokens_of_the_model(string kind, OnnxOperators operators)
    {
        random.manual_seed(1337);
        using var model = new TransformerModel(Longer[kind]);
        using var onnx = Exported(model, operators);
        int[][] prompts = [Tokens(150, 5), Tokens(3, 2), Tokens(70, 7)];
        var (options, cancellation) = (SamplingOptions.Greedy with { MaxTokens = 60 }, TestContext.Current.CancellationToken);
        var expected = model.Generate(prompts, options, cancellation: cancellation).Select(text => text.Tokens);
        Assert.Equal(expected, new TextGenerator(onnx).Generate(prompts, options, cancellation: cancellation).Select(text => text.Tokens));
    }

    // The first row is full while the second goes on, and the third begins late.
    [Theory]
    [InlineData("wide")]
    [InlineData("wide, gpt2")]
    [InlineData("wide hybrid")]
    [InlineData("wide windows")]
    public void Rows_that_pause_lose_nothing_in_a_cache_that_is_filled_in_place(string kind)
    {
        using var model = ModelOf(kind);
        using var onnx = Exported(model, OnnxOperators.Fused);
        int[][] rows = [Tokens(12, 1), Tokens(9, 4), Tokens(5, 9)];
        using var state = onnx.NewState(3);
        onnx.Read(state, [0, 1], [11, 2], [.. rows[0][..11], .. rows[1][..2]]);
        onnx.Read(state, [1], [3], rows[1].AsSpan(2..5));
        var caches = ((OnnxSequenceState)state).Past.Select(cache => cache.GetTensorTypeAndShape().Shape[2]).ToArray();
        onnx.Read(state, [0], [1], rows[0].AsSpan(11..));
        var last = Logits(onnx, 1);
        onnx.Read(state, [2, 1], [4, 3], [.. rows[2][..4], .. rows[1][5..8]]);
        onnx.Read(state, [1, 2], [1, 1], [rows[1][8], rows[2][4]]);
        var found = Logits(onnx, 2);

        int[][][] parts = [
            [rows[0][..11], rows[0][11..]], [rows[1][..2], rows[1][2..5], rows[1][5..8], rows[1][8..]], [rows[2][..4], rows[2][4..]]];
        AssertNear([.. parts.SelectMany(row => Expected(model, row)[^13..])], [.. last, .. found], Tolerance, "last tokens");
        Assert.Contains(13, caches);
    }

    // A copy would hold what the operator writes, and nothing behind it.
    [Fact]
    public void A_fused_step_writes_into_the_cache_in_place()
    {
        using var model = ModelOf("wide");
        using var onnx = Exported(model, OnnxOperators.Fused);
        using var state = (OnnxSequenceState)onnx.NewState(1);
        Read(onnx, state, Tokens(5, 1));
        foreach (var cache in state.Past) cache.GetTensorMutableDataAsSpan<float>()[^1] = 7;
        Read(onnx, state, [3]);
        Assert.All(state.Past, cache => Assert.Equal(7, cache.GetTensorDataAsSpan<float>()[^1]));
    }

    [Fact]
    public void A_text_that_does_not_fit_is_refused_before_anything_is_computed()
    {
        using var model = ModelOf("rope");
        using var onnx = Exported(model);
        using var state = onnx.NewState(1);
        Assert.Contains(
            "13 tokens do not fit the context length of 12", Assert.Throws<InputException>(() => Read(onnx, state, Tokens(13, 1))).Message);
        Assert.Equal(0, state.Lengths[0]);
    }

    private static TheoryData<string, OnnxOperators> InBothForms(IEnumerable<string> kinds) =>
        new(kinds.SelectMany(kind => new (string, OnnxOperators)[] { (kind, OnnxOperators.Standard), (kind, OnnxOperators.Fused) }));

    private OnnxInferenceModel Exported(TransformerModel model, OnnxOperators operators = OnnxOperators.Standard)
    {
        OnnxFolder.Write(folder.Path, model.Config, model.Weights, operators: operators);
        return OnnxInferenceModel.Open(folder.Path, threads: 1);
    }
}
