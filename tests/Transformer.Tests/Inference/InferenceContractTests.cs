using Transformer.Configuration;
using Transformer.Generation;
using Transformer.Generation.Constraints;
using Transformer.Inference;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;
using Transformer.Model;
using Transformer.Tests.Onnx;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Tests.Inference;

// T tokens · V vocabulary

/// <summary>What every backend does with every kind of model.</summary>
public sealed class InferenceContractTests
{
    private const double Tolerance = 1e-4;
    private const int Context = 12;

    private static readonly Tokenizer Letters = CharacterTokenizer.FromCorpus(new StringReader("abcdefghijklm"));
    private static readonly SamplingOptions Greedy = SamplingOptions.Greedy;

    public static TheoryData<string, string> Cases => new(InferenceBackends.All);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    // Read with a state, in one pass and token by token, beside others: as one pass over each text without one.
    [Theory]
    [MemberData(nameof(Cases))]
    public void Rows_of_unequal_length_give_the_logits_of_whole_texts(string backend, string kind) =>
        InferenceBackends.With(backend, kind, (model, reference) =>
        {
            int[][] texts = [Text(7, 1), Text(Context, 4), Text(4, 9)];
            var (prompts, read) = (new[] { 3, 8, 1 }, new[] { 3, 8, 1 });
            var expected = texts.Select(text => OnnxCases.Expected(reference, text).Chunk(13).ToArray()).ToArray();
            using var state = model.NewState(rows: 3);
            model.Read(state, [0, 1, 2], prompts, [.. texts.SelectMany((text, row) => text[..prompts[row]])], all: true);
            var output = 0;
            for (var row = 0; row < 3; row++)
                for (var token = 0; token < prompts[row]; token++) Compare(row, token, output++);
            while (Enumerable.Range(0, 3).Where(row => read[row] < texts[row].Length).ToArray() is { Length: > 0 } rows)
            {
                model.Read(state, rows, [.. rows.Select(_ => 1)], [.. rows.Select(row => texts[row][read[row]])]);
                for (var part = 0; part < rows.Length; part++) Compare(rows[part], read[rows[part]]++, part);
            }
            Assert.Equal(texts.Select(text => text.Length), state.Lengths);

            void Compare(int row, int token, int output) =>
                OnnxCases.AssertNear(expected[row][token], model.Logits(output).ToArray(), Tolerance, $"row {row}, token {token}");
        });

    [Theory]
    [MemberData(nameof(Cases))]
    public void Texts_join_and_leave_beside_others(string backend, string kind) =>
        InferenceBackends.With(backend, kind, (model, reference) =>
        {
            int[][] texts = [Text(5, 1), Text(9, 4), Text(7, 9), Text(4, 2)];
            using var state = model.NewState(rows: 3);
            model.Read(state, [0, 1], [5, 3], [.. texts[0], .. texts[1][..3]]);
            model.Read(state, [1, 2], [2, 4], [.. texts[1][3..5], .. texts[2][..4]]);
            state.Clear(0);
            model.Read(state, [2, 0, 1], [1, 3, 1], [texts[2][4], .. texts[3][..3], texts[1][5]]);
            model.Read(state, [1], [2], texts[1].AsSpan(6..8));
            model.Read(state, [0, 2, 1], [1, 2, 1], [texts[3][3], .. texts[2][5..], texts[1][8]]);
            Last(reference, texts[3], model, output: 0);
            Last(reference, texts[2], model, output: 1);
            Last(reference, texts[1], model, output: 2);
            for (var row = 0; row < 3; row++) state.Clear(row);
            model.Read(state, [2, 1], [5, 9], [.. texts[0], .. texts[1]]);
            Last(reference, texts[0], model, output: 0);
            Last(reference, texts[1], model, output: 1);
        });

    // Rows 0 and 2 are one range of rows to a backend that computes ranges; row 1 within it gets nothing, at first and later.
    [Theory]
    [MemberData(nameof(Cases))]
    public void A_row_between_two_that_go_on_keeps_its_text(string backend, string kind) =>
        InferenceBackends.With(backend, kind, (model, reference) =>
        {
            int[][] texts = [Text(3, 1), Text(5, 4), Text(3, 9)];
            using var state = model.NewState(rows: 3);
            model.Read(state, [0, 2, 1], [1, 1, 3], [texts[0][0], texts[2][0], .. texts[1][..3]]);
            model.Read(state, [0, 2], [2, 2], [.. texts[0][1..], .. texts[2][1..]]);
            model.Read(state, [1], [2], texts[1].AsSpan(3..));
            Last(reference, texts[1], model, output: 0);
        });

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_copied_row_goes_on_as_the_first(string backend, string kind) =>
        InferenceBackends.With(backend, kind, (model, reference) =>
        {
            var (text, other) = (Text(9, 1), Text(9, 4));
            using var state = model.NewState(rows: 2);
            model.Read(state, [0, 1], [6, 2], [.. text[..6], .. other[..2]]);
            state.Copy(from: 0, to: 1);
            Assert.Equal([6, 6], state.Lengths);
            model.Read(state, [1, 0], [3, 1], [.. other[6..], text[6]]);
            Last(reference, [.. text[..6], .. other[6..]], model, output: 0);
            model.Read(state, [0], [2], text.AsSpan(7..));
            Last(reference, text, model, output: 0);
        });

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_row_drops_its_last_tokens_or_says_that_it_cannot(string backend, string kind) =>
        InferenceBackends.With(backend, kind, (model, reference) =>
        {
            var (text, other) = (Text(9, 1), Text(10, 4));
            using var state = model.NewState(rows: 2);
            model.Read(state, [0, 1], [6, 5], [.. text[..6], .. other[..5]]);
            if (!state.CanTruncate)
            {
                Assert.Contains(
                    "go back to a copy of the row",
                    Assert.Throws<InvalidOperationException>(() => state.Truncate(0, 3)).Message);
                state.Truncate(0, 0);
                Assert.Equal([0, 5], state.Lengths);
                return;
            }
            Assert.False(InferenceBackends.IsRecurrent(kind) || kind == "rope_dynamic_ntk");
            state.Truncate(0, 3);
            model.Read(state, [1, 0], [1, 4], [other[5], .. other[3..7]]);
            Last(reference, other[..6], model, output: 0);
            Last(reference, [.. text[..3], .. other[3..7]], model, output: 1);
            state.Truncate(1, 2);
            model.Read(state, [1, 0], [1, 1], [7, 8]);
            Last(reference, [.. other[..2], 7], model, output: 0);
        });

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_saved_state_goes_on_to_the_last_bit(string backend, string kind) => InferenceBackends.With(backend, kind, (model, _) =>
    {
        using var folder = new TemporaryFolder();
        using var state = model.NewState(rows: 3, capacity: 11);
        model.Read(state, [0, 1, 2], [5, 2, 3], [.. Text(5, 1), .. Text(2, 4), .. Text(3, 9)]);
        state.Clear(1);
        if (backend == InferenceBackends.Ranks)
        {
            Assert.Contains("ranks that share a model", Assert.Throws<InputException>(() => state.Save(folder["state"])).Message);
            return;
        }
        state.Save(folder["state"], "tokens");
        var expected = GoOn(state);
        using var loaded = model.LoadState(folder["state"], "tokens");
        Assert.Equal((11, "5 0 3"), (loaded.Capacity, string.Join(' ', loaded.Lengths)));
        Assert.Equal(expected, GoOn(loaded));

        float[] GoOn(SequenceState state)
        {
            model.Read(state, [2, 0], [1, 1], [3, 4]);
            model.Read(state, [1, 2, 0], [4, 1, 1], [6, 7, 2, 3, 8, 9]);
            return OnnxCases.Logits(model, 3);
        }
    });

    [Theory]
    [MemberData(nameof(Cases))]
    public void Beam_search_finds_what_it_finds_with_the_kernels(string backend, string kind) =>
        InferenceBackends.With(backend, kind, (model, reference) =>
        {
            using var kernels = CpuInferenceModel.TryCreate(reference)!;
            var expected = new BeamSearch(kernels).Search([1, 5, 2], beams: 3, maxTokens: 6, cancellation: Cancellation);
            var found = new BeamSearch(model).Search([1, 5, 2], beams: 3, maxTokens: 6, cancellation: Cancellation);
            Assert.Equal(expected.Select(text => text.Tokens), found.Select(text => text.Tokens));
        });

    // From the text itself and from another model, past the context, with states that drop tokens and others.
    [Theory]
    [MemberData(nameof(Cases))]
    public void Draft_tokens_change_no_token(string backend, string kind) => InferenceBackends.With(backend, kind, (model, reference) =>
    {
        using var smaller = OnnxCases.ModelOf("rope");
        using var draft = CpuInferenceModel.TryCreate(smaller)!;
        foreach (var options in (SamplingOptions[])[Greedy with { MaxTokens = 20 }, new() { MaxTokens = 20, Seed = 3, TopK = 3 }])
        {
            var expected = Generate(new(model), options).Tokens;
            var drafted = Generate(new(model) { DraftTokens = 3 }, options);
            Assert.Equal(expected, drafted.Tokens);
            Assert.Equal(kind == "rope_dynamic_ntk", drafted.Speculation is null);
            if (kind == "rope_dynamic_ntk")
                Assert.Contains(
                    "angles follow the length",
                    Assert.Throws<InputException>(() => Generate(new(model) { DraftTokens = 3, Draft = draft }, options)).Message);
            else if (options.Temperature == 0)
                Assert.Equal(expected, Generate(new(model) { DraftTokens = 3, Draft = draft }, options).Tokens);
        }

        static GeneratedText Generate(TextGenerator generator, SamplingOptions options) =>
            generator.Generate([[1, 2, 1, 2]], options, cancellation: Cancellation)[0];
    });

    // The model itself as the draft model of the kernels, by which each draft token is accepted.
    [Theory]
    [MemberData(nameof(Cases))]
    public void Any_backend_is_a_draft_model(string backend, string kind) => InferenceBackends.With(backend, kind, (model, _) =>
    {
        using var whole = OnnxCases.ModelOf("rope");
        using var kernels = CpuInferenceModel.TryCreate(whole)!;
        var options = Greedy with { MaxTokens = 9 };
        Assert.Equal(
            new TextGenerator(kernels).Generate([[1, 2]], options, cancellation: Cancellation)[0].Tokens,
            new TextGenerator(kernels) { DraftTokens = 2, Draft = model }
                .Generate([[1, 2]], options, cancellation: Cancellation)[0].Tokens);
    });

    [Theory]
    [MemberData(nameof(Cases))]
    public void Constrained_texts_match(string backend, string kind) => InferenceBackends.With(backend, kind, (model, _) =>
    {
        var constraint = TextConstraint.Regex("(ab|c)d{2,4}[e-g]+h");
        var options = new SamplingOptions { Temperature = 2, Seed = 5, MaxTokens = 30, Constraint = constraint };
        var texts = new TextGenerator(model, Letters).GenerateText(["abc", "m"], options, cancellation: Cancellation);
        foreach (var text in texts.Where(text => text.FinishReason == FinishReason.EndOfText))
            Assert.Matches("^(ab|c)d{2,4}[e-g]+h$", text.Text);
        Assert.Contains(texts, text => text.FinishReason == FinishReason.EndOfText);
    });

    // Prompts that begin alike, longer ones than a step reads, and texts past the context.
    [Theory]
    [MemberData(nameof(Cases))]
    public void Texts_of_a_continuous_batch_are_those_that_each_prompt_has_alone(string backend, string kind) =>
        InferenceBackends.With(backend, kind, (model, _) =>
        {
            int[][] prompts = [[1, 5, 2, 7, 3, 4], [1, 5, 2], [4], [1, 5, 2, 7, 3, 9, 8], [6, 6]];
            var (generator, options) = (new TextGenerator(model), Greedy with { MaxTokens = 11 });
            var alone = prompts.Select(prompt => generator.Generate([prompt], options, cancellation: Cancellation)[0].Tokens).ToArray();
            using var batch = new ContinuousBatch(model, slots: 3, promptTokens: 4);
            var texts = prompts.Select(prompt => batch.Submit(prompt, options, cancellation: Cancellation)).ToArray();
            while (batch.Step()) { }
            Assert.Equal(alone, texts.Select(text => text.GetAwaiter().GetResult().Tokens));
        });

    [Theory]
    [MemberData(nameof(Cases))]
    public void Embeddings_enter_in_the_place_of_ids_or_are_refused(string backend, string kind) =>
        InferenceBackends.With(backend, kind, (model, reference) =>
        {
            int[] text = Text(7, 1);
            var table = reference.Weight("model.embed_tokens.weight").detach().data<float>().ToArray();
            var width = model.Config.Width;
            float[] embeddings = [.. text.SelectMany(id => table[(id * width)..((id + 1) * width)])];
            using var state = model.NewState(rows: 2);
            if (backend is InferenceBackends.Onnx or InferenceBackends.FusedOnnx)
            {
                Assert.Contains(
                    "takes token ids only",
                    Assert.Throws<InputException>(
                        () => model.Read(state, [0], [7], InferenceInput.OfEmbeddings(embeddings, width))).Message);
                Assert.Equal([0, 0], state.Lengths);
                model.Read(state, [0], [7], text);
                Assert.Contains("not hidden states", Assert.Throws<InputException>(() => model.Hidden(0)).Message);
                return;
            }
            model.Read(state, [0, 1], [4, 3], text);
            model.Read(state, [0], [1], [5]);
            var (expected, hidden) = (OnnxCases.Logits(model, 1), model.Hidden(0).ToArray());
            for (var row = 0; row < 2; row++) state.Clear(row);
            model.Read(state, [0, 1], [4, 3], InferenceInput.OfEmbeddings(embeddings, width));
            model.Read(state, [0], [1], InferenceInput.OfEmbeddings(table.AsSpan(5 * width, width), width));
            // Of libtorch's experts the last digit depends on what is computed beside a token, padding too.
            var tolerance = backend == InferenceBackends.Cpu ? 0 : 1e-5;
            OnnxCases.AssertNear(expected, OnnxCases.Logits(model, 1), tolerance, "logits");
            OnnxCases.AssertNear(hidden, model.Hidden(0).ToArray(), tolerance, "hidden state");
        });

    [Theory]
    [MemberData(nameof(Cases))]
    public void Logits_are_the_head_of_the_hidden_state(string backend, string kind) =>
        InferenceBackends.With(backend, kind, (model, reference) =>
        {
            if (backend is InferenceBackends.Onnx or InferenceBackends.FusedOnnx) return;
            using var state = model.NewState(rows: 1);
            model.Read(state, [0], [5], Text(5, 1), all: true);
            using var gradient = no_grad();
            for (var output = 0; output < 5; output++)
                OnnxCases.AssertNear(
                    reference.Logits(tensor(model.Hidden(output).ToArray())).data<float>().ToArray(),
                    model.Logits(output).ToArray(), Tolerance, $"token {output}");
        });

    [Theory]
    [MemberData(nameof(Cases))]
    public void What_does_not_fit_is_refused_before_anything_is_computed(string backend, string kind) =>
        InferenceBackends.With(backend, kind, (model, _) =>
        {
            using var state = model.NewState(rows: 2, capacity: 11);
            model.Read(state, [0], [1], [1]);
            Assert.Throws<ArgumentOutOfRangeException>(() => model.NewState(rows: 1, capacity: 13));
            Assert.Throws<ArgumentOutOfRangeException>(() => model.NewState(rows: 0));
            Assert.Throws<ArgumentOutOfRangeException>(() => model.Logits(1));
            Assert.Throws<ArgumentOutOfRangeException>(() => state.Clear(2));
            Assert.Throws<ArgumentOutOfRangeException>(() => state.Truncate(0, 2));
            Assert.Throws<ArgumentOutOfRangeException>(() => state.Copy(0, 2));
            Assert.Throws<ArgumentOutOfRangeException>(() => model.Read(state, [2], [1], [1]));
            Assert.Throws<ArgumentOutOfRangeException>(() => model.Read(state, [1], [1], [13]));
            Assert.Throws<ArgumentException>(() => model.Read(state, [0, 0], [1, 1], [1, 2]));
            Assert.Throws<ArgumentException>(() => model.Read(state, [0, 1], [1], [1]));
            Assert.Throws<ArgumentException>(() => model.Read(state, [0, 1], [1, 0], [1]));
            Assert.Throws<ArgumentException>(() => model.Read(state, [0], [1], InferenceInput.OfEmbeddings(new float[3], 3)));
            Assert.Contains(
                "12 tokens do not fit the context length of 11",
                Assert.Throws<InputException>(() => model.Read(state, [0], [11], new int[11])).Message);
            Assert.Equal([1, 0], state.Lengths);
        });

    private static void Last(TransformerModel reference, int[] text, InferenceModel model, int output) =>
        OnnxCases.AssertNear(OnnxCases.Expected(reference, text)[^13..], model.Logits(output).ToArray(), Tolerance, $"output {output}");

    private static int[] Text(int count, int seed) => OnnxCases.Tokens(count, seed);
}
