using Transformer.Configuration;
using Transformer.Generation.Constraints;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;
using Transformer.Model;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Generation;

// T tokens · V vocabulary

/// <summary>
/// Continues prompts: one pass over all of them fills the caches, then each step adds a token to every row (autoregressive decoding). Prompts
/// of unequal length share a batch. One generation at a time a model: it is set to evaluation meanwhile. Where a <see cref="CpuInferenceModel"/> covers the model
/// it computes the logits, else libtorch does.
/// </summary>
/// <remarks>
/// A text may grow past the model's context of T tokens. When a row has filled it, the row goes on from its last T / 2 tokens as if they were the
/// prompt, so that the model always sees its last T / 2 to T tokens. Other rows of the batch do not notice.
/// </remarks>
public sealed class TextGenerator
{
    private readonly TransformerModel? model;
    private readonly CpuInferenceModel? engine;
    private readonly Func<int, int, NextLogits>? logits;
    private readonly ModelConfig config;
    private readonly Tokenizer? tokenizer;
    private readonly int vocabularySize;
    private readonly Lock gate = new();
    private TokenVocabulary? vocabulary;

    /// <param name="model">The model; it stays the caller's.</param>
    /// <param name="tokenizer">
    /// Its tokenizer. Logits beyond its vocabulary (padding of the model's) are never chosen. Without one there are tokens only.
    /// </param>
    public TextGenerator(TransformerModel model, Tokenizer? tokenizer = null) : this(model.Config, tokenizer) => this.model = model;

    /// <param name="engine">An engine, with its weights packed for one; it stays the caller's.</param>
    /// <param name="tokenizer">As for a model.</param>
    public TextGenerator(CpuInferenceModel engine, Tokenizer? tokenizer = null) : this(engine.Config, tokenizer) => this.engine = engine;

    /// <param name="config">The architecture.</param>
    /// <param name="logits">What computes the logits of so many rows, whose windows have at most so many tokens.</param>
    /// <param name="tokenizer">As for a model.</param>
    internal TextGenerator(ModelConfig config, Func<int, int, NextLogits> logits, Tokenizer? tokenizer) : this(config, tokenizer) => this.logits = logits;

    private TextGenerator(ModelConfig config, Tokenizer? tokenizer)
    {
        (this.config, this.tokenizer) = (config, tokenizer);
        vocabularySize = Math.Min(config.VocabularySize!.Value, tokenizer?.VocabularySize ?? int.MaxValue);
    }

    /// <summary>The most tokens that may be guessed ahead.</summary>
    public const int MostDraftTokens = 64;

    /// <summary>
    /// How many tokens are guessed ahead, where one text is written alone and the model's state can forget wrong guesses; 0 for none. DraftTokens come from what stands
    /// in the text, which changes the pace and never the tokens, or from a <see cref="Draft"/>.
    /// </summary>
    public int DraftTokens { get; init; }

    /// <summary>
    /// A smaller model of the same tokens, whose guesses are taken instead (speculative decoding: Leviathan et al. 2023; Chen et al. 2023); it stays the caller's.
    /// Tokens come as often each as without, greedy ones are the same.
    /// </summary>
    public CpuInferenceModel? Draft { get; init; }

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
    /// An option is wrong, a prompt is empty, has a token outside the vocabulary or is longer than the context, or there is a <see cref="Draft"/> where nothing can be guessed.
    /// </exception>
    public IReadOnlyList<GeneratedText> Generate(
        IReadOnlyList<int[]> prompts,
        SamplingOptions options,
        Action<int, int>? onToken = null,
        Action<int, string>? onText = null,
        CancellationToken cancellation = default)
    {
        options.Check();
        if (DraftTokens is < 0 or > MostDraftTokens) throw new InputException($"guesses: found {DraftTokens}, expected 0 to {MostDraftTokens}");
        if (Draft is not null && DraftTokens == 0) throw new InputException("draft: a draft makes guesses, but guesses are 0; give a number, or leave the draft out");
        for (var row = 0; row < prompts.Count; row++) Check(prompts[row], options, $"prompt {row}");
        if (prompts.Count == 0) return [];

        var constraint = Masks(options.Constraint);
        var rows = prompts.Select((prompt, row) => NewRow(prompt, options, row, constraint)).ToArray();
        var capacity = (int)Math.Min(config.ContextLength, prompts.Max(prompt => prompt.Length) + (long)options.MaxTokens);
        var speculation = engine is not null ? Write(Logits(engine, options, rows.Length, capacity), rows, onToken, onText, cancellation)
            : logits is not null ? Write(logits(rows.Length, capacity), rows, onToken, onText, cancellation)
            : WriteWithModel(model!, options, rows, capacity, onToken, onText, cancellation);
        return rows.Select(row => row.Result with { Speculation = speculation }).ToArray();
    }

    /// <summary>Throws where a prompt cannot be continued.</summary>
    /// <param name="prompt">The tokens to continue.</param>
    /// <param name="options">How tokens are chosen.</param>
    /// <param name="name">What messages call the prompt.</param>
    /// <exception cref="InputException">As <see cref="Generate"/>.</exception>
    internal void Check(int[] prompt, SamplingOptions options, string name = "prompt")
    {
        options.Check();
        if (options.Stop.Count > 0 && tokenizer is null) throw new InputException("stop: stop strings need a tokenizer, and this generator has none");
        if (options.Constraint is not null && tokenizer is null) throw new InputException("constraint: what a text must be needs a tokenizer, and this generator has none");
        CheckPrompt(prompt, name);
    }

    /// <summary>A row that begins, of what passed <see cref="Check"/>.</summary>
    /// <param name="prompt">The tokens to continue.</param>
    /// <param name="options">How tokens are chosen.</param>
    /// <param name="row">Which of the seed's streams of random numbers.</param>
    /// <param name="constraint">What <see cref="Masks"/> made of the options' constraint.</param>
    /// <exception cref="InputException">No token can begin a text as the constraint asks.</exception>
    internal GenerationRow NewRow(int[] prompt, SamplingOptions options, int row, TokenMasks? constraint) =>
        new(options, row, prompt, config.ContextLength, vocabularySize, tokenizer, constraint);

    private SpeculationCount? WriteWithModel(
        TransformerModel model, SamplingOptions options, GenerationRow[] rows, int capacity, Action<int, int>? onToken, Action<int, string>? onText, CancellationToken cancellation)
    {
        var training = model.training;
        using var inference = inference_mode();
        model.eval();
        try
        {
            using var engine = CpuInferenceModel.TryCreate(model);
            if (engine is null && Draft is not null)
                throw new InputException("draft: guesses are read by the processor's own kernels, and this model is on another device. Leave the draft out.");
            var next = engine is null ? new ModelLogits(model, rows.Length, capacity) : Logits(engine, options, rows.Length, capacity);
            return Write(next, rows, onToken, onText, cancellation);
        }
        finally
        {
            model.train(training);
        }
    }

    /// <summary>A constraint in the terms of the vocabulary, for rows that one thread writes.</summary>
    internal TokenMasks? Masks(TextConstraint? constraint)
    {
        if (constraint is null) return null;
        lock (gate) vocabulary ??= new TokenVocabulary(tokenizer!, vocabularySize);
        return new TokenMasks(constraint, vocabulary);
    }

    private NextLogits Logits(CpuInferenceModel engine, SamplingOptions options, int rows, int capacity)
    {
        var state = engine.NewState(rows, capacity);
        var obstacle = Draft is null ? null
            : rows > 1 ? $"guesses are made for one text alone, found {rows} prompts"
            : !state.CanTruncate ? "a window, a recurrence or angles that follow the length let the model's state forget no wrong guesses"
            : Draft.Config.VocabularySize < vocabularySize ? $"found a vocabulary of {Draft.Config.VocabularySize} tokens, expected the model's {vocabularySize}"
            : null;
        if (obstacle is not null)
        {
            state.Dispose();
            throw new InputException($"draft: {obstacle}. Leave the draft out.");
        }
        if (DraftTokens == 0 || rows > 1 || !state.CanTruncate) return new EngineLogits(engine, state);
        var guesses = Math.Min(DraftTokens, capacity);
        return new SpeculativeLogits(engine, state, Draft is null ? new PromptLookup() : new DraftModel(Draft, options, vocabularySize, guesses), guesses);
    }

    private static SpeculationCount? Write(NextLogits next, GenerationRow[] rows, Action<int, int>? onToken, Action<int, string>? onText, CancellationToken cancellation)
    {
        using (next)
        {
            while (Array.Exists(rows, row => row.Finished is null))
            {
                if (next.IsAsked(cancellation.IsCancellationRequested))
                {
                    Cancel(rows, onText);
                    break;
                }
                foreach (var row in rows) row.Slide();
                next.Read(rows);
                for (var row = 0; row < rows.Length; row++)
                {
                    if (rows[row].Finished is not null) continue;
                    var (token, text) = rows[row].Advance(next.Of(row), next.DraftTokenOf(row));
                    if (token is { } chosen) onToken?.Invoke(row, chosen);
                    if (text.Length > 0) onText?.Invoke(row, text);
                }
            }
            return next.Speculation;
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

    private void CheckPrompt(int[] prompt, string name)
    {
        var context = config.ContextLength;
        if (prompt.Length == 0) throw new InputException($"{name}: no tokens, expected at least one");
        if (prompt.Length > context)
            throw new InputException($"{name}: {prompt.Length} tokens do not fit the context length of {context}. Shorten it to {context} or fewer.");
        foreach (var token in prompt)
            if ((uint)token >= (uint)vocabularySize)
                throw new InputException($"{name}: token {token} is not in the vocabulary of {vocabularySize} tokens; " +
                    $"ids run from 0 to {vocabularySize - 1}");
    }
}
