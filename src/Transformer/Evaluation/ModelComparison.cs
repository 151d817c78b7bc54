using Transformer.Generation;
using Transformer.Inference;
using Transformer.Inference.Torch;
using Transformer.Model;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Evaluation;

// T tokens · V vocabulary

/// <summary>
/// How far apart two models are that should be one: in the logits of a text that the first one generates, and in the tokens that they
/// choose greedily.
/// </summary>
/// <param name="Difference">The greatest difference of two logits.</param>
/// <param name="Share">That difference as a share of the greatest distance of a logit from its row's mean, so that models of any scale can
/// be judged alike.</param>
/// <param name="Alike">How many greedily chosen tokens are the same before the first that is not.</param>
/// <param name="Tokens">How many were chosen.</param>
public sealed record ModelComparison(double Difference, double Share, int Alike, int Tokens)
{
    private const int TextLength = 128, PromptLength = 8, Chosen = 32;

    /// <summary>Compares a copy with its original; both have one vocabulary.</summary>
    public static ModelComparison Of(LoadedModel original, LoadedModel copy)
    {
        using var inference = ModelInference.Of(copy.Model);
        return Of(original, inference, text => Logits(copy.Model, text));
    }

    /// <summary>Compares a copy that something else computes.</summary>
    /// <param name="original">The original.</param>
    /// <param name="copy">The copy.</param>
    public static ModelComparison Of(LoadedModel original, InferenceModel copy) => Of(original, copy, text => Logits(copy, text));

    private static ModelComparison Of(LoadedModel original, InferenceModel copy, Func<int[], Tensor> logits)
    {
        using var inference = inference_mode();
        using var scope = NewDisposeScope();
        using var first = ModelInference.Of(original.Model);
        var text = Text(first, original.Tokenizer);
        var expected = Logits(original.Model, text);                                                    // [T, V]
        var difference = (expected - logits(text)).abs().max().item<double>();
        var scale = (expected - expected.mean([-1], keepdim: true)).abs().max().item<double>();
        var prompt = text[..Math.Min(PromptLength, text.Length)];
        var chosen = Greedy(first, original.Tokenizer, prompt);
        var others = double.IsFinite(difference) ? Greedy(copy, original.Tokenizer, prompt) : [];
        return new(
            difference, difference == 0 ? 0 : difference / scale, chosen.Zip(others).TakeWhile(pair => pair.First == pair.Second).Count(),
            chosen.Count);
    }

    // What a model generates is what it will be asked to continue, and there is no text that suits every vocabulary.
    private static int[] Text(InferenceModel model, Tokenizer tokenizer)
    {
        int[] begin = [tokenizer.BeginOfText ?? tokenizer.EndOfText ?? 0];
        var length = Math.Min(TextLength, model.Config.ContextLength);
        var generated = new TextGenerator(model, tokenizer).Generate([begin], new SamplingOptions { MaxTokens = TextLength })[0].Tokens;
        return [.. begin.Concat(generated).Take(length)];
    }

    private static Tensor Logits(TransformerModel model, int[] text) =>
        model.call(tensor(text, ScalarType.Int64, model.Device).unsqueeze(0), null).squeeze(0).to(ScalarType.Float64).cpu();

    private static Tensor Logits(InferenceModel model, int[] text)
    {
        using var state = model.NewState(rows: 1);
        model.Read(state, [0], [text.Length], text, all: true);
        return stack(Enumerable.Range(0, text.Length).Select(token => tensor(model.Logits(token).ToArray()))).to(ScalarType.Float64);
    }

    private static IReadOnlyList<int> Greedy(InferenceModel model, Tokenizer tokenizer, int[] prompt) =>
        new TextGenerator(model, tokenizer).Generate([prompt], SamplingOptions.Greedy with { MaxTokens = Chosen })[0].Tokens;
}
