using Transformer.Configuration;
using Transformer.Generation.Constraints;
using Transformer.Inference;
using Transformer.Tokenization;

namespace Transformer.Generation;

// T tokens · V vocabulary

/// <summary>
/// Continues prompts: one pass reads all of them into the state, then each step adds a token to every row (autoregressive decoding).
/// Prompts of unequal length share a batch. One generation at a time per model.
/// </summary>
/// <remarks>
/// A text may grow past the model's context of T tokens: its <see cref="ContextPolicy"/> says what the model then goes on seeing, and the
/// result what was dropped. Other rows of the batch are not affected.
/// </remarks>
public sealed class TextGenerator
{
    private readonly InferenceModel model;
    private readonly Tokenizer? tokenizer;
    private readonly int vocabularySize;
    private readonly Lock gate = new();
    private TokenVocabulary? vocabulary;

    /// <param name="model">The model; it stays the caller's.</param>
    /// <param name="tokenizer">Its tokenizer. Tokens beyond its vocabulary (padding of the model's) are never chosen. Without one the
    /// results have tokens only.</param>
    public TextGenerator(InferenceModel model, Tokenizer? tokenizer = null)
    {
        (this.model, this.tokenizer) = (model, tokenizer);
        vocabularySize = Math.Min(model.Config.VocabularySize!.Value, tokenizer?.VocabularySize ?? int.MaxValue);
    }

    /// <summary>The model.</summary>
    internal InferenceModel Model => model;

    /// <summary>What its tokens mean.</summary>
    internal Tokenizer? Tokenizer => tokenizer;

    /// <summary>Where a picture stands in a prompt.</summary>
    public const string ImageMark = "<image>";

    /// <summary>The most draft tokens of a pass.</summary>
    public const int MostDraftTokens = 64;

    /// <summary>
    /// How many draft tokens are read ahead where one text is generated alone; 0 for none. They come from the text itself, which changes
    /// the speed and never the tokens, or from a <see cref="Draft"/>. There are none where angles follow the length, since a pass over
    /// several tokens then differs from single steps.
    /// </summary>
    public int DraftTokens { get; init; }

    /// <summary>
    /// A smaller model of the same tokenizer that proposes the draft tokens instead (speculative decoding: Leviathan et al. 2023; Chen et
    /// al. 2023); it stays the caller's. The distribution of the tokens is the same as without it; greedy tokens are the same.
    /// </summary>
    public InferenceModel? Draft { get; init; }

    /// <summary>
    /// What is kept of a text that is longer than the context. Where null, a text that grows past it slides, and a prompt that is longer is
    /// refused.
    /// </summary>
    public ContextPolicy? ContextPolicy { get; init; }

    /// <summary>Continues texts.</summary>
    /// <param name="prompts">One per row; they become tokens by <see cref="Encode"/>.</param>
    /// <param name="options">How tokens are chosen.</param>
    /// <param name="onText">Called with the row and each piece of its text as soon as it is final.</param>
    /// <param name="cancellation">Ends all rows after the current step.</param>
    /// <returns>One result per prompt.</returns>
    /// <exception cref="InputException">An option is wrong, or a prompt cannot be encoded or is longer than the context.</exception>
    public IReadOnlyList<GeneratedText> GenerateText(
        IReadOnlyList<string> prompts, SamplingOptions options, Action<int, string>? onText = null,
        CancellationToken cancellation = default) =>
        Generate([.. prompts.Select(Encode)], options, onToken: null, onText, cancellation: cancellation);

    /// <summary>
    /// The tokens of a prompt: the token that begins a text, where there is one, and the text's. A model needs at least one token to
    /// continue: an empty text without such a token becomes a line break, as nanoGPT has it.
    /// </summary>
    /// <exception cref="InputException">The text cannot be encoded.</exception>
    public int[] Encode(string prompt)
    {
        var tokenizer = RequiredTokenizer;
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

    /// <summary>
    /// The tokens of a prompt with pictures, each in the place of an <see cref="ImageMark"/>; before the text where it has none.
    /// </summary>
    /// <param name="prompt">The text.</param>
    /// <param name="pictures">Each picture as <see cref="InferenceModel.Picture"/> takes it.</param>
    /// <exception cref="InputException">There are more or fewer pictures than marks, the model reads no pictures, or the text cannot be
    /// encoded.</exception>
    public int[] EncodeWithPictures(string prompt, IReadOnlyList<float[]> pictures)
    {
        if (pictures.Count == 0 && (model.Config.Vision is null || !prompt.Contains(ImageMark, StringComparison.Ordinal)))
            return Encode(prompt);
        return EncodeWithPictures(RequiredTokenizer, prompt, pictures.Count, picture => model.Picture(pictures[picture]));
    }

    /// <inheritdoc cref="EncodeWithPictures(string, IReadOnlyList{float[]})"/>
    /// <param name="tokenizer">Encodes the text.</param>
    /// <param name="prompt">The text.</param>
    /// <param name="count">How many pictures there are.</param>
    /// <param name="idsOf">What stands for a picture, by its number.</param>
    internal static int[] EncodeWithPictures(Tokenizer tokenizer, string prompt, int count, Func<int, int[]> idsOf)
    {
        if (!prompt.Contains(ImageMark, StringComparison.Ordinal))
            prompt = string.Concat(Enumerable.Repeat(ImageMark, count)) + prompt;
        var texts = prompt.Split(ImageMark);
        if (texts.Length - 1 != count)
            throw new InputException($"prompt: found {texts.Length - 1} {ImageMark}, but {count} pictures. Give one for each.");
        var tokens = new List<int>();
        if (tokenizer.BeginOfText is { } begin) tokens.Add(begin);
        foreach (var (number, text) in texts.Index())
        {
            if (number > 0) tokens.AddRange(idsOf(number - 1));
            tokens.AddRange(tokenizer.Encode(text));
        }
        return [.. tokens];
    }

    /// <summary>The tokens of text that is appended to another.</summary>
    internal int[] EncodeMore(string text) => RequiredTokenizer.Encode(text);

    private Tokenizer RequiredTokenizer =>
        tokenizer ?? throw new InvalidOperationException("a generator without a tokenizer continues tokens only");

    /// <summary>Continues token sequences.</summary>
    /// <param name="prompts">One per row, each of at least one token.</param>
    /// <param name="options">How tokens are chosen.</param>
    /// <param name="onToken">Called with the row and each token as soon as it is chosen.</param>
    /// <param name="onText">Called with the row and each piece of its text as soon as it is final.</param>
    /// <param name="firstRow">Which of the seed's streams of random numbers the first row has; the others have the next ones, so that
    /// several calls give the rows of one larger batch.</param>
    /// <param name="cancellation">Ends all rows after the current step.</param>
    /// <returns>One result per prompt.</returns>
    /// <exception cref="InputException">
    /// An option is wrong, a prompt is empty, has a token outside the vocabulary or is longer than the context, or there is a
    /// <see cref="Draft"/> that cannot be used.
    /// </exception>
    public IReadOnlyList<GeneratedText> Generate(
        IReadOnlyList<int[]> prompts,
        SamplingOptions options,
        Action<int, int>? onToken = null,
        Action<int, string>? onText = null,
        int firstRow = 0,
        CancellationToken cancellation = default)
    {
        CheckGenerator(options);
        for (var row = 0; row < prompts.Count; row++)
            Check(prompts[row], options, prompts.Count == 1 ? "prompt" : $"prompt {row}", canChoosePolicy: true);
        if (prompts.Count == 0) return [];

        var constraint = Masks(options.Constraint);
        var rows = prompts.Select((prompt, row) => NewRow(prompt, options, firstRow + row, constraint)).ToArray();
        var capacity = (int)Math.Min(model.MostTokens, prompts.Max(prompt => prompt.Length) + (long)options.MaxTokens);
        var speculation = Run(Logits(options, rows.Length, capacity), rows, onToken, onText, cancellation);
        return rows.Select(row => row.Result with { Speculation = speculation }).ToArray();
    }

    /// <summary>Begins a text that other calls, perhaps of other processes, may go on with.</summary>
    /// <param name="prompt">The tokens to continue, at least one.</param>
    /// <param name="options">How tokens are chosen.</param>
    /// <exception cref="InputException">As <see cref="Generate"/>; or there are draft tokens.</exception>
    public TextSession Begin(int[] prompt, SamplingOptions options)
    {
        RefuseDrafts();
        Check(prompt, options, canChoosePolicy: true);
        return TextSession.Begin(this, prompt, options);
    }

    /// <summary>Goes on with a text that <see cref="TextSession.Save"/> saved.</summary>
    /// <param name="path">The file.</param>
    /// <param name="more">Text that is appended first; none where empty.</param>
    /// <param name="settings">Makes of how tokens were chosen how they are to be chosen.</param>
    /// <exception cref="InputException">The file is damaged or belongs to another model, or the text cannot go on.</exception>
    public TextSession Resume(string path, string more, Func<SamplingOptions, SamplingOptions> settings)
    {
        RefuseDrafts();
        return TextSession.Resume(this, path, more, settings);
    }

    private void RefuseDrafts()
    {
        if (DraftTokens > 0) throw new InputException("draft_tokens: a text that goes on in parts has none; leave them out");
    }

    private void CheckGenerator(SamplingOptions options)
    {
        options.Check();
        if (DraftTokens is < 0 or > MostDraftTokens)
            throw new InputException($"draft_tokens: found {DraftTokens}, expected 0 to {MostDraftTokens}");
        if (Draft is not null && DraftTokens == 0)
            throw new InputException("draft: a draft model needs draft tokens, but their number is 0; give one, or leave the draft out");
        if (ContextPolicy == Generation.ContextPolicy.Sinks && DraftTokens > 0)
            throw new InputException("draft_tokens: means nothing beside the context policy sinks; leave one of the two out");
    }

    /// <summary>Throws if a prompt cannot be continued.</summary>
    /// <param name="prompt">The tokens to continue.</param>
    /// <param name="options">How tokens are chosen.</param>
    /// <param name="name">What messages call the prompt.</param>
    /// <param name="canChoosePolicy">Whether a message may advise another <see cref="ContextPolicy"/>.</param>
    /// <exception cref="InputException">An option or the prompt is wrong; the message says why.</exception>
    internal void Check(int[] prompt, SamplingOptions options, string name = "prompt", bool canChoosePolicy = false)
    {
        if (prompt.Length == 0) throw new InputException($"{name}: no tokens, expected at least one");
        CheckMore(prompt, options, ContextPolicy, name, canChoosePolicy);
    }

    /// <summary>Throws if a text cannot go on with these tokens, of which there may be none.</summary>
    /// <inheritdoc cref="Check"/>
    internal void CheckMore(
        int[] prompt, SamplingOptions options, ContextPolicy? policy, string name = "prompt", bool canChoosePolicy = false)
    {
        options.Check();
        if (options.Stop.Count > 0 && tokenizer is null)
            throw new InputException("stop: stop strings need a tokenizer, and this generator has none");
        if (options.Constraint is not null && tokenizer is null)
            throw new InputException("constraint: what a text must be needs a tokenizer, and this generator has none");
        ContextWindow.Check(prompt, model.MostTokens, policy, tokenizer, name, canChoosePolicy);
        foreach (var token in prompt)
            if ((uint)token >= (uint)vocabularySize && !model.IsPicture(token))
                throw new InputException($"{name}: token {token} is not in the vocabulary of {vocabularySize} tokens; " +
                    $"ids run from 0 to {vocabularySize - 1}");
    }

    /// <summary>A new row, of arguments that passed <see cref="Check"/>.</summary>
    /// <param name="prompt">The tokens to continue.</param>
    /// <param name="options">How tokens are chosen.</param>
    /// <param name="row">Which of the seed's streams of random numbers.</param>
    /// <param name="constraint">What <see cref="Masks"/> made of the options' constraint.</param>
    /// <exception cref="InputException">The constraint allows no first token.</exception>
    internal GenerationRow NewRow(int[] prompt, SamplingOptions options, int row, TokenMasks? constraint) =>
        NewRow(prompt, options, row, constraint, NewWindow(prompt));

    /// <summary>The same with a window of the caller's.</summary>
    internal GenerationRow NewRow(
        ReadOnlySpan<int> prompt, SamplingOptions options, int row, TokenMasks? constraint, ContextWindow window,
        bool isContinued = false) =>
        new(options, row, prompt, window, vocabularySize, tokenizer, constraint) { IsContinued = isContinued };

    /// <summary>A window of a text.</summary>
    internal ContextWindow NewWindow(IEnumerable<int> tokens, ContextPolicy? policy = null) =>
        new(tokens, model.MostTokens, policy ?? ContextPolicy ?? Generation.ContextPolicy.Slide, tokenizer);

    /// <summary>A constraint over the vocabulary, for rows of one thread.</summary>
    internal TokenMasks? Masks(TextConstraint? constraint)
    {
        if (constraint is null) return null;
        lock (gate) vocabulary ??= new TokenVocabulary(tokenizer!, vocabularySize);
        return new TokenMasks(constraint, vocabulary);
    }

    private RowLogits Logits(SamplingOptions options, int rows, int capacity)
    {
        var obstacle = Draft is null ? null
            : rows > 1 ? $"draft tokens are for one text alone, found {rows} prompts"
            : model.AnglesFollowLength ? "where angles follow the length, a pass over several tokens differs from single steps"
            : Draft.Config.VocabularySize < vocabularySize
                ? $"found a vocabulary of {Draft.Config.VocabularySize} tokens, expected the model's {vocabularySize}"
            : null;
        if (obstacle is not null) throw new InputException($"draft: {obstacle}. Leave the draft out.");
        if (DraftTokens == 0 || rows > 1 || model.AnglesFollowLength) return new RowLogits(model, NewState(rows, capacity));
        var draftTokens = Math.Min(DraftTokens, capacity);
        Proposer proposer = Draft is null ? new PromptLookup() : new DraftModel(Draft, options, vocabularySize, draftTokens);
        return new SpeculativeLogits(model, capacity, proposer, draftTokens);
    }

    /// <summary>A state for texts of this policy.</summary>
    internal SequenceState NewState(int rows, int capacity)
    {
        if (ContextPolicy != Generation.ContextPolicy.Sinks) return model.NewState(rows, capacity);
        if (model.ObstacleToDropping is { } obstacle)
            throw new InputException($"context policy: sinks cannot be kept ({obstacle}). " +
                (model.Config.HasSegments ? "Leave the policy out: such a model is never full." : "Take slide, turns or stop."));
        return model.NewDroppingState(rows, capacity);
    }

    private static SpeculationCount? Run(
        RowLogits next, GenerationRow[] rows, Action<int, int>? onToken, Action<int, string>? onText, CancellationToken cancellation)
    {
        using (next) Continue(next, rows, onToken, onText, cancellation);
        return next.Speculation;
    }

    /// <summary>Adds tokens to rows until all have ended.</summary>
    internal static void Continue(
        RowLogits next, GenerationRow[] rows, Action<int, int>? onToken, Action<int, string>? onText, CancellationToken cancellation)
    {
        while (Array.Exists(rows, row => row.Finished is null))
        {
            var isCancelled = cancellation.IsCancellationRequested;
            if (!isCancelled)
                foreach (var row in rows.Where(row => row.Finished is null)) row.Fit();
            if (isCancelled || !next.Read(rows, cancellation))
            {
                Cancel(rows, onText);
                break;
            }
            for (var row = 0; row < rows.Length; row++)
            {
                if (rows[row].Finished is not null) continue;
                var (token, text) = rows[row].Advance(next.Of(row), next.DraftTokenOf(row));
                if (token is { } chosen) onToken?.Invoke(row, chosen);
                if (text.Length > 0) onText?.Invoke(row, text);
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
}
