using Transformer.Configuration;
using Transformer.Data;
using Transformer.Evaluation;
using Transformer.Runs;
using Transformer.Tokenization;

namespace Transformer.Tests.Evaluation;

/// <summary>The bytes for bits per byte are those of the tokens that are predicted, no more.</summary>
public sealed class TextEvaluationTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void The_first_token_of_a_text_is_only_read()
    {
        var gpt2 = BpeTokenizer.FromFiles(Golden.PathOf("gpt2/vocab.json"), Golden.PathOf("gpt2/merges.txt"));
        using var text = TextEvaluation.Of(TextSource.At(folder.Write("text", "aaaa the")), gpt2);
        Assert.Equal((2, 4), (text.Tokens.Length, text.Bytes));
        Assert.Equal(2, new EvaluationResult(Loss: 8 * Math.Log(2), Tokens: 1, Correct: 0).BitsPerByte(text.Bytes), 1e-12);
    }

    [Fact]
    public void After_a_token_that_begins_texts_the_whole_text_is_predicted_and_no_space_before_it()
    {
        var llama = LlamaTokenizer.FromLlama2C(Golden.PathOf("stories260k/tok512.bin"));
        using var text = TextEvaluation.Of(TextSource.At(folder.Write("text", "Once upon a time")), llama);
        Assert.Equal("Once upon a time".Length, text.Bytes);
    }

    [Fact]
    public void The_first_token_of_a_run_s_validation_text_is_only_read()
    {
        var data = new DataConfig
        {
            Path = folder.Write("training", "abcé"),
            ValidationPath = folder.Write("validation", "éabc"),
            Tokenizer = new CharacterTokenizerConfig(),
        };
        using var corpus = Corpus.Open(data);
        Assert.Equal((5, 3), (corpus.ValidationBytes, TextEvaluation.Of(corpus).Bytes));
    }
}
