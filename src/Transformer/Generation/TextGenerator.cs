using Transformer.Configuration;
using Transformer.Generation.Decoding;
using Transformer.Model;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Generation;

// T tokens · V vocabulary

/// <summary>
/// Continues prompts: one pass over all of them fills the caches, then each step adds a token to every row (autoregressive decoding). Prompts
/// of unequal length share a batch. One generation at a time a model: it is set to evaluation meanwhile. Where a <see cref="DecodeEngine"/> covers the model
/// it computes the logits, else libtorch does.
/// </summary>
/// <remarks>
/// A text may grow past the model's context of T tokens. When a row has filled it, the row goes on from its last T / 2 tokens as if they were the
/// prompt, so that the model always sees its last T / 2 to T tokens. Other rows of the batch do not notice.
/// </remarks>
public sealed class TextGenerator
{
    private readonly TransformerModel? model;
    private readonly DecodeEngine? engine;
    private readonly Func<int, int, NextLogits>? logits;
    private readonly ModelConfig config;
    private readonly Tokenizer? tokenizer;
    private readonly int vocabularySize;

    /// <param name="model">The model; it stays the caller's.</param>
    /// <param name="tokenizer">
    /// Its tokenizer. Logits beyond its vocabulary (padding of the model's) are never chosen. Without one there are tokens only.
    /// </param>
    public TextGenerator(TransformerModel model, Tokenizer? tokenizer = null) : this(model.Config, tokenizer) => this.model = model;

    /// <param name="engine">An engine, with its weights packed for one; it stays the caller's.</param>
    /// <param name="tokenizer">As for a model.</param>
    public TextGenerator(DecodeEngine engine, Tokenizer? tokenizer = null) : this(engine.Config, tokenizer) => this.engine = engine;

    /// <param name="config">The architecture.</param>
    /// <param name="logits">What computes the logits of so many rows, whose windows have at most so many tokens.</param>
    /// <param name="tokenizer">As for a model.</param>
    internal TextGenerator(ModelConfig config, Func<int, int, NextLogits> logits, Tokenizer? tokenizer) : this(config, tokenizer) => this.logits = logits;

    private TextGenerator(ModelConfig config, Tokenizer? tokenizer)
    {
        (this.config, this.tokenizer) = (config, tokenizer);
        vocabularySize = Math.Min(config.VocabularySize!.Value, tokenizer?.VocabularySize ?? int.MaxValue);
    }

    /// <summary>
    /// How many tokens are guessed ahead by what stands in the text, where one text is written alone and the model's state can forget wrong guesses; 0 for none.
    /// It changes the pace, never the tokens.
    /// </summary>
    public int Guesses { get; init; }

    /// <summary>Continues texts.</summary>
    /// <param name="prompts">One a row; they become tokens by <see cref="Encode"/>.</param>
    /// <param name="options">How tokens are chosen.</param>
    /// <param name="onText">Called with the row and each piece of its text as soon as that is sure to belong to it.</param>
    /// <param name="cancellation">Ends all rows after the current step.</param>
    /// <returns>One result a prompt.</returns>
    /// <exception cref="InputException">An option is wrong, or a prompt cannot be encoded or is longer than the context.</exception>
    public IReadOnlyList<GeneratedText> GenerateText(
        IReadOnlyList<string> prompts, SamplingOptions options, Action<int, string>? onText = null, CancellationToken cancellation = default) =>
        Generate([.. prompts.Select(Encode)], options, onToken: null, onText, cancellation);

    /// <summary>
    /// The tokens of a prompt: the token that begins a text, where there is one, and the text's. A model needs at least one token to continue: an
    /// empty text without such a token becomes a line break, as nanoGPT has it.
    /// </summary>
    /// <exception cref="InputException">The text cannot be encoded.</exception>
    public int[] Encode(string prompt)
    {
        if (tokenizer is null) throw new InvalidOperationException("a generator without a tokenizer continues tokens only");
        if (tokenizer.BeginOfText is { } begin) return [begin, .. tokenizer.Encode(prompt)];
        try
        {
            return tokenizer.Encode(prompt.Length == 0 ? "\n" : prompt);
        }
        catch (InputException e) when (prompt.Length == 0)
        {
            throw new InputException(
                "the prompt is empty, and the tokenizer has neither a token that begins a text nor a line break. Give a prompt.", e);
        }
    }

    /// <summary>Continues token sequences.</summary>
    /// <param name="prompts">One a row, each of at least one token.</param>
    /// <param name="options">How tokens are chosen.</param>
    /// <param name="onToken">Called with the row and each token as soon as it is chosen.</param>
    /// <param name="onText">Called with the row and each piece of its text as soon as that is sure to belong to it.</param>
    /// <param name="cancellation">Ends all rows after the current step.</param>
    /// <returns>One result a prompt.</returns>
    /// <exception cref="InputException">
    /// An option is wrong, or a prompt is empty, has a token outside the vocabulary or is longer than the context.
    /// </exception>
    public IReadOnlyList<GeneratedText> Generate(
        IReadOnlyList<int[]> prompts,
        SamplingOptions options,
        Action<int, int>? onToken = null,
        Action<int, string>? onText = null,
        CancellationToken cancellation = default)
    {
        options.Check();
        if (options.Stop.Count > 0 && tokenizer is null)
            throw new InputException("stop: stop strings need a tokenizer, and this generator has none");
        for (var row = 0; row < prompts.Count; row++) CheckPrompt(prompts[row], row);
        if (prompts.Count == 0) return [];

        var context = config.ContextLength;
        var rows = prompts.Select((prompt, row) => new GenerationRow(options, row, prompt, context, vocabularySize, tokenizer)).ToArray();
        var capacity = (int)Math.Min(context, prompts.Max(prompt => prompt.Length) + (long)options.MaxTokens);
        if (engine is not null) Write(Logits(engine, rows.Length, capacity), rows, onToken, onText, cancellation);
        else if (logits is not null) Write(logits(rows.Length, capacity), rows, onToken, onText, cancellation);
        else WriteWithModel(model!, rows, capacity, onToken, onText, cancellation);
        return rows.Select(row => row.Result).ToArray();
    }

    private void WriteWithModel(
        TransformerModel model, GenerationRow[] rows, int capacity, Action<int, int>? onToken, Action<int, string>? onText, CancellationToken cancellation)
    {
        var training = model.training;
        using var inference = inference_mode();
        model.eval();
        try
        {
            using var engine = DecodeEngine.TryCreate(model);
            Write(engine is null ? new ModelLogits(model, rows.Length, capacity) : Logits(engine, rows.Length, capacity), rows, onToken, onText, cancellation);
        }
        finally
        {
            model.train(training);
        }
    }

    private NextLogits Logits(DecodeEngine engine, int rows, int capacity)
    {
        var state = engine.NewState(rows, capacity);
        return Guesses > 0 && rows == 1 && state.CanForget ? new SpeculativeLogits(engine, state, Guesses) : new EngineLogits(engine, state);
    }

    private static void Write(NextLogits next, GenerationRow[] rows, Action<int, int>? onToken, Action<int, string>? onText, CancellationToken cancellation)
    {
        using (next)
        {
            while (Array.Exists(rows, row => row.Finished is null))
            {
                if (next.IsAsked(cancellation.IsCancellationRequested))
                {
                    Cancel(rows, onText);
                    return;
                }
                foreach (var row in rows) row.Slide();
                next.Read(rows);
                for (var row = 0; row < rows.Length; row++)
                {
                    if (rows[row].Finished is not null) continue;
                    var (token, text) = rows[row].Advance(next.Of(row));
                    if (token is { } chosen) onToken?.Invoke(row, chosen);
                    if (text.Length > 0) onText?.Invoke(row, text);
                }
            }
        }
    }

    private static void Cancel(GenerationRow[] rows, Action<int, string>? onText)
    {
        for (var row = 0; row < rows.Length; row++)
        {
            if (rows[row].Finished is not null) continue;
            var text = rows[row].Finish(FinishReason.Cancelled);
            if (text.Length > 0) onText?.Invoke(row, text);
        }
    }

    private void CheckPrompt(int[] prompt, int row)
    {
        var context = config.ContextLength;
        if (prompt.Length == 0) throw new InputException($"prompt {row}: no tokens, expected at least one");
        if (prompt.Length > context)
            throw new InputException($"prompt {row}: {prompt.Length} tokens do not fit the context length of {context}. Shorten it to {context} or fewer.");
        foreach (var token in prompt)
            if ((uint)token >= (uint)vocabularySize)
                throw new InputException($"prompt {row}: token {token} is not in the vocabulary of {vocabularySize} tokens; " +
                    $"ids run from 0 to {vocabularySize - 1}");
    }
}
