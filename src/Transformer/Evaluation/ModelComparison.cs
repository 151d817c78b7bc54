using Transformer.Generation;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Evaluation;

// T tokens · V vocabulary

/// <summary>How far apart two models are that should be one: in the logits of a text that the first one writes, and in the tokens that they choose greedily.</summary>
/// <param name="Difference">The greatest difference of two logits.</param>
/// <param name="Share">That difference as a share of the greatest distance of a logit from its row's mean, so that models of any scale can be judged alike.</param>
/// <param name="Alike">How many greedily chosen tokens are the same before the first that is not.</param>
/// <param name="Tokens">How many were chosen.</param>
public sealed record ModelComparison(double Difference, double Share, int Alike, int Tokens)
{
    private const int TextLength = 128, PromptLength = 8, Chosen = 32;

    /// <summary>Compares a copy with its original; both have one vocabulary.</summary>
    public static ModelComparison Of(LoadedModel original, LoadedModel copy) =>
        Of(original, text => Logits(copy.Model, text), Writer(copy));

    /// <summary>Compares a copy that may be computed by something else.</summary>
    /// <param name="original">The original.</param>
    /// <param name="logits">The copy's logits of every token of a text: [T, V].</param>
    /// <param name="writer">What writes with the copy.</param>
    internal static ModelComparison Of(LoadedModel original, Func<int[], Tensor> logits, TextGenerator writer)
    {
        using var inference = inference_mode();
        using var scope = NewDisposeScope();
        var text = Text(original);
        var expected = Logits(original.Model, text);                                                    // [T, V]
        var difference = (expected - logits(text).to(ScalarType.Float64)).abs().max().item<double>();
        var scale = (expected - expected.mean([-1], keepdim: true)).abs().max().item<double>();
        var prompt = text[..Math.Min(PromptLength, text.Length)];
        var first = Greedy(Writer(original), prompt);
        var second = double.IsFinite(difference) ? Greedy(writer, prompt) : [];
        return new(difference, difference == 0 ? 0 : difference / scale, first.Zip(second).TakeWhile(pair => pair.First == pair.Second).Count(), first.Count);
    }

    // What a model writes is what it will be asked to continue, and there is no text that suits every vocabulary.
    private static int[] Text(LoadedModel model)
    {
        int[] begin = [model.Tokenizer.BeginOfText ?? model.Tokenizer.EndOfText ?? 0];
        var length = Math.Min(TextLength, model.Model.Config.ContextLength);
        var written = Writer(model).Generate([begin], new SamplingOptions { MaxTokens = TextLength })[0].Tokens;
        return [.. begin.Concat(written).Take(length)];
    }

    private static Tensor Logits(TransformerModel model, int[] text) =>
        model.call(tensor(text, ScalarType.Int64, model.Device).unsqueeze(0), null).squeeze(0).to(ScalarType.Float64).cpu();

    private static IReadOnlyList<int> Greedy(TextGenerator writer, int[] prompt) => writer.Generate([prompt], SamplingOptions.Greedy with { MaxTokens = Chosen })[0].Tokens;

    private static TextGenerator Writer(LoadedModel model) => new(model.Model, model.Tokenizer);
}
