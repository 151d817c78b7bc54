using System.Runtime.InteropServices;
using Transformer.Configuration;
using Transformer.Model;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Generation;

// B batch · T tokens · C width · V vocabulary

/// <summary>
/// Continues prompts: one pass over all of them fills the caches, then each step adds a token to every row (autoregressive decoding). Prompts
/// of unequal length share a batch. One generation at a time a model: it is set to evaluation meanwhile.
/// </summary>
/// <remarks>
/// A text may grow past the model's context of T tokens. When a row has filled it, the row goes on from its last T / 2 tokens as if they were the
/// prompt, so that the model always sees its last T / 2 to T tokens. Other rows of the batch do not notice.
/// </remarks>
public sealed class TextGenerator
{
    private readonly TransformerModel model;
    private readonly Tokenizer? tokenizer;
    private readonly int vocabularySize;

    /// <param name="model">The model; it stays the caller's.</param>
    /// <param name="tokenizer">
    /// Its tokenizer. Logits beyond its vocabulary (padding of the model's) are never chosen. Without one there are tokens only.
    /// </param>
    public TextGenerator(TransformerModel model, Tokenizer? tokenizer = null)
    {
        (this.model, this.tokenizer) = (model, tokenizer);
        vocabularySize = Math.Min(model.Config.VocabularySize!.Value, tokenizer?.VocabularySize ?? int.MaxValue);
    }

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

        var context = model.Config.ContextLength;
        var rows = prompts.Select((prompt, row) => new GenerationRow(options, row, prompt, context, vocabularySize, tokenizer)).ToArray();
        var capacity = (int)Math.Min(context, prompts.Max(prompt => prompt.Length) + (long)options.MaxTokens);
        var training = model.training;
        using var inference = inference_mode();
        ModelState? state = null;
        model.eval();
        try
        {
            while (rows.Any(row => row.Finished is null))
            {
                if (cancellation.IsCancellationRequested)
                {
                    Cancel(rows, onText);
                    break;
                }
                var begins = state is null;
                foreach (var row in rows) begins |= row.Slide();
                if (begins)
                {
                    state?.Dispose();
                    state = model.NewState(rows.Length, capacity);
                }
                Step(rows, begins, state!, onToken, onText);
            }
        }
        finally
        {
            state?.Dispose();
            model.train(training);
        }
        return rows.Select(row => row.Result).ToArray();
    }

    private void Step(GenerationRow[] rows, bool begins, ModelState state, Action<int, int>? onToken, Action<int, string>? onText)
    {
        using var scope = NewDisposeScope();
        var found = begins ? Prefill(rows, state) : Continue(rows, state);                                      // [B, V]
        var logits = found.to(ScalarType.Float32).cpu().contiguous();
        var numbers = MemoryMarshal.Cast<byte, float>(logits.bytes);
        for (var row = 0; row < rows.Length; row++)
        {
            if (rows[row].Finished is not null) continue;
            var (token, text) = rows[row].Advance(numbers.Slice(row * (int)logits.shape[1], vocabularySize));
            if (token is { } chosen) onToken?.Invoke(row, chosen);
            if (text.Length > 0) onText?.Invoke(row, text);
        }
    }

    // Shorter rows are filled up on the right; the state does not keep the filling.
    private Tensor Prefill(GenerationRow[] rows, ModelState state)
    {
        var longest = rows.Max(row => row.Window.Count);
        var ids = zeros(rows.Length, longest, ScalarType.Int64);                                                // [B, T]
        var numbers = MemoryMarshal.Cast<byte, long>(ids.bytes);
        for (var row = 0; row < rows.Length; row++)
            for (var at = 0; at < rows[row].Window.Count; at++) numbers[row * longest + at] = rows[row].Window[at];

        var hidden = model.Hidden(ids.to(model.Device), state, [.. rows.Select(row => row.Window.Count)]);      // [B, T, C]
        var last = tensor(rows.Select(row => row.Window.Count - 1L).ToArray(), device: model.Device);           // [B]
        return model.Logits(hidden[arange(rows.Length, device: model.Device), last]);                           // [B, V]
    }

    private Tensor Continue(GenerationRow[] rows, ModelState state)
    {
        var ids = empty(rows.Length, 1, ScalarType.Int64);                                                      // [B, 1]
        var numbers = MemoryMarshal.Cast<byte, long>(ids.bytes);
        for (var row = 0; row < rows.Length; row++)
        {
            numbers[row] = rows[row].Window[^1];
        }
        // A row that has ended runs along unheard, as filling.
        var hidden = model.Hidden(ids.to(model.Device), state, [.. rows.Select(row => row.Finished is null ? 1 : 0)]);    // [B, 1, C]
        return model.Logits(hidden.squeeze(1));                                                                 // [B, V]
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
        var context = model.Config.ContextLength;
        if (prompt.Length == 0) throw new InputException($"prompt {row}: no tokens, expected at least one");
        if (prompt.Length > context)
            throw new InputException($"prompt {row}: {prompt.Length} tokens do not fit the context length of {context}. Shorten it to {context} or fewer.");
        foreach (var token in prompt)
            if ((uint)token >= (uint)vocabularySize)
                throw new InputException($"prompt {row}: token {token} is not in the vocabulary of {vocabularySize} tokens; " +
                    $"ids run from 0 to {vocabularySize - 1}");
    }
}
