using Transformer.Configuration;
using Transformer.Inference;

namespace Transformer.Generation;

/// <summary>
/// A part of a text that is generated in several, perhaps by several processes: what <see cref="Save"/> writes goes on, by
/// <see cref="TextGenerator.Resume"/>, with the tokens that the text would have had without the interruption. What is held back where a
/// part ends, an incomplete character or the beginning of a stop string, comes with the next part; where text is appended, it is
/// <see cref="HeldBack"/>.
/// </summary>
public sealed class TextSession : IDisposable
{
    private readonly TextGenerator generator;
    private readonly int[] before;    // all tokens before this part
    private readonly int chosenBefore;    // how many of them were chosen since the last prompt
    private readonly ContextPolicy? policy;
    private readonly RowLogits next;
    private readonly GenerationRow row;
    private readonly string released;    // of what an earlier part held back

    // The state stays the caller's where this throws.
    private TextSession(
        TextGenerator generator, SamplingOptions options, int[] before, int chosenBefore, ContextPolicy? policy, ContextWindow window,
        SequenceState state, string held = "")
    {
        (this.generator, Options, this.before, this.chosenBefore, this.policy) = (generator, options, before, chosenBefore, policy);
        var prompt = before.AsSpan(0, before.Length - chosenBefore);
        row = generator.NewRow(prompt, options, 0, generator.Masks(options.Constraint), window, isContinued: true);
        released = row.Resume(before.AsSpan(prompt.Length), held);
        row.Unread = window.Count - state.Lengths[0];
        next = new RowLogits(generator.Model, state);
    }

    /// <summary>How tokens are chosen.</summary>
    public SamplingOptions Options { get; }

    /// <summary>The text that earlier parts held back and that ends there, since other text was appended to it; else empty.</summary>
    public string HeldBack { get; private init; } = "";

    /// <summary>Begins a text, of arguments that were checked.</summary>
    /// <exception cref="InputException">The text has pictures, which a file of tokens does not hold.</exception>
    internal static TextSession Begin(TextGenerator generator, int[] prompt, SamplingOptions options)
    {
        if (Array.Exists(prompt, token => token < 0))
            throw new InputException("prompt: a text with pictures cannot be saved, since its tokens do not tell the pictures");
        var state = generator.NewState(rows: 1, generator.Model.MostTokens);
        return Owning(state, () => new(
            generator, options, [.. prompt], chosenBefore: 0, generator.ContextPolicy, generator.NewWindow(prompt), state));
    }

    /// <summary>Goes on with a saved text.</summary>
    internal static TextSession Resume(TextGenerator generator, string path, string more, Func<SamplingOptions, SamplingOptions> settings)
    {
        var (saved, tokens, state) = SavedText.Read(path, generator.Model, generator.Tokenizer);
        return Owning(state, () =>
        {
            var (policy, options) = (generator.ContextPolicy ?? saved.Policy, settings(saved.Options));
            var (was, dropped) = (saved.Policy ?? ContextPolicy.Slide, tokens.Length - saved.Window);
            if ((policy == ContextPolicy.Sinks) != state.CanDrop)
                throw new InputException(
                    $"{path}: was saved {(state.CanDrop ? "under" : "without")} the context policy sinks, which keys are stored for. " +
                    "Go on as it was saved, or read the text again.");
            if (dropped > 0 && (policy ?? ContextPolicy.Slide) is var other && other != was)
                throw new InputException(
                    $"{path}: the context policy {NameOf(was)} has dropped {dropped} of its tokens, and {NameOf(other)} might have kept " +
                    "them. Go on as it was saved, or read the text again.");
            var window = generator.NewWindow(tokens, policy);
            window.Resume(saved.Head, saved.Window, saved.DroppedTurns);
            var added = more.Length > 0 ? generator.EncodeMore(more) : [];
            generator.CheckMore(added, options, policy);
            if (added.Length == 0 && saved.Finished is FinishReason.EndOfText or FinishReason.StopString)
                throw new InputException($"{path}: its text has ended by itself. Give text to go on with: --prompt TEXT.");
            foreach (var token in added) window.Add(token);
            if (!window.CanGoOn)
                throw new InputException(
                    $"{path}: {window.Count} tokens do not fit the context length of {window.Capacity}, and the context policy " +
                    $"{NameOf(window.Policy)} drops nothing more. " +
                    $"{(dropped > 0 ? "Read the text again with" : "Give")} --context-policy slide.");
            var session = added.Length == 0
                ? new TextSession(generator, options, tokens, saved.Chosen, policy, window, state, saved.Held)
                : new(generator, options, [.. tokens, .. added], chosenBefore: 0, policy, window, state)
                {
                    HeldBack = saved.HeldBack(tokens, generator.Tokenizer)
                };
            if (options.Seed == saved.Options.Seed) session.row.RandomState = saved.Random;
            return session;
        });
    }

    private static TextSession Owning(SequenceState state, Func<TextSession> make)
    {
        try
        {
            return make();
        }
        catch
        {
            state.Dispose();
            throw;
        }
    }

    /// <summary>Generates the part.</summary>
    /// <param name="onToken">Called with each token as soon as it is chosen.</param>
    /// <param name="onText">Called with each piece of text as soon as it is final.</param>
    /// <param name="isLast">Whether no other part follows, so that nothing is held back where this one ends.</param>
    /// <param name="cancellation">Ends the part after the current step.</param>
    /// <returns>What this part added.</returns>
    public GeneratedText Run(
        Action<int>? onToken = null, Action<string>? onText = null, bool isLast = false, CancellationToken cancellation = default)
    {
        row.IsContinued = !isLast;
        if (released.Length > 0) onText?.Invoke(released);
        TextGenerator.Continue(next, [row], (_, token) => onToken?.Invoke(token), (_, text) => onText?.Invoke(text), cancellation);
        return row.Result;
    }

    /// <summary>Saves the text with everything that its continuation depends on. The file that was there stays until the new one is
    /// whole.</summary>
    /// <param name="path">The file, replaced if it exists.</param>
    /// <exception cref="InputException">The file cannot be written, or ranks share the model.</exception>
    /// <exception cref="InvalidOperationException">The part was not generated, or as the last one.</exception>
    public void Save(string path)
    {
        if (!row.IsContinued) throw new InvalidOperationException("the part was the last one");
        var (window, finished) = (row.Window, row.Finished ?? throw new InvalidOperationException("the part has not ended"));
        new SavedText
        {
            Chosen = chosenBefore + row.Tokens.Count,
            Head = window.Head,
            Window = window.Count,
            DroppedTurns = window.DroppedTurns,
            Policy = policy,
            Random = row.RandomState,
            Held = row.Held,
            Finished = finished,
            Options = Options,
            Constraint = Options.Constraint?.Source,
        }.Write(path, generator.Model, next.State, generator.Tokenizer, [.. before, .. row.Tokens]);
    }

    private static string NameOf(ContextPolicy policy) => policy.ToString().ToLowerInvariant();

    /// <inheritdoc/>
    public void Dispose() => next.Dispose();
}
