using Transformer.Configuration;
using Transformer.Generation;
using Transformer.Inference;
using Transformer.Inference.Torch;
using Transformer.Onnx;
using Transformer.Tokenization;

namespace Transformer.Cli;

/// <summary>The models that a request to generate names.</summary>
/// <param name="Main">The model that generates.</param>
/// <param name="Draft">The smaller model that proposes draft tokens; null for none.</param>
/// <param name="DraftTokens">As <see cref="TextGenerator.DraftTokens"/>.</param>
internal sealed record GenerationModels(LoadedInference Main, LoadedInference? Draft, int DraftTokens) : IDisposable
{
    /// <summary>The model that generates.</summary>
    public InferenceModel Model => Main.Model;

    /// <summary>What its tokens mean.</summary>
    public Tokenizer Tokenizer => Main.Tokenizer;

    /// <summary>The most tokens of a text: those that the model sees, or any number where it remembers over segments.</summary>
    public int ContextLength => Model.Config.MostTokens;

    /// <summary>What continues prompts.</summary>
    public TextGenerator Generator => new(Model, Tokenizer)
    {
        DraftTokens = DraftTokens,
        Draft = Draft?.Model,
        ContextPolicy = ContextPolicy,
    };

    /// <summary>As <see cref="TextGenerator.ContextPolicy"/>.</summary>
    public ContextPolicy? ContextPolicy { get; init; }

    // Samples of one prompt are generated in batches of at most 64, whose states take at most 1 GiB.
    private const long StateBudget = 1L << 30;
    private const int MostRowsAtOnce = 64;

    /// <summary>How many samples of one prompt are generated together: as many as have room for their states.</summary>
    /// <param name="tokens">The tokens of a sample, the prompt's included.</param>
    public int RowsAtOnce(long tokens) => (int)Math.Clamp(StateBudget / Math.Max(1, StateBytes(tokens)), 1, MostRowsAtOnce);

    /// <summary>As many texts of the whole context as have room in the machine's memory, at least one, and at most this many.</summary>
    public int FewerWithRoom(int rows) =>
        (int)Math.Clamp(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / Math.Max(1, StateBytes(ContextLength)), 1, rows);

    /// <summary>Throws if the states of texts that are generated together do not fit the memory.</summary>
    /// <param name="option">The option that says how many they are.</param>
    /// <param name="rows">Their number.</param>
    /// <param name="tokens">The most tokens of a text, the prompt's included.</param>
    /// <exception cref="InputException">They do not.</exception>
    public void RequireRoom(string option, int rows, long tokens)
    {
        var (each, memory) = (StateBytes(tokens), GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);
        if ((double)rows * each <= memory) return;
        throw new InputException(
            $"{option}: {rows} texts have a state of {Numbers.Bytes(each)} each, and this machine has {Numbers.Bytes(memory)} of memory. " +
            $"Take {Math.Max(1, memory / each)} or fewer.");
    }

    private long StateBytes(long tokens) => new ModelSize(Model.Config).StateBytes(Math.Min(tokens, ContextLength));

    /// <summary>Loads both models.</summary>
    /// <param name="path">The path of the model that generates.</param>
    /// <param name="draft">The path of the smaller model; null for none.</param>
    /// <param name="request">How they are to be loaded.</param>
    /// <param name="draftTokens">As <see cref="TextGenerator.DraftTokens"/>.</param>
    /// <exception cref="InputException">There is no such model, it lacks its tokenizer, it cannot be loaded in this way, or the smaller
    /// model's tokens are others.</exception>
    public static GenerationModels Open(string path, string? draft, LoadRequest request, int draftTokens)
    {
        var main = OnnxLoader.Open(path, request);
        try
        {
            return WithDraft(main, draft, request, draftTokens);
        }
        catch
        {
            main.Dispose();
            throw;
        }
    }

    /// <summary>Loads the smaller model, which this process computes alone, beside one that is loaded.</summary>
    /// <param name="main">The model that generates; disposed with these, unless this throws.</param>
    /// <param name="draft">The path of the smaller model; null for none.</param>
    /// <param name="request">How it is to be loaded.</param>
    /// <param name="draftTokens">As <see cref="TextGenerator.DraftTokens"/>.</param>
    /// <exception cref="InputException">There is no such model, it lacks its tokenizer, it cannot be loaded in this way, or its tokens
    /// are not those of the model that generates.</exception>
    public static GenerationModels WithDraft(LoadedInference main, string? draft, LoadRequest request, int draftTokens) =>
        new(main, draft is null ? null : OpenDraft(draft, request with { Group = null }, main.Tokenizer), draftTokens);

    private static LoadedInference OpenDraft(string path, LoadRequest request, Tokenizer tokenizer)
    {
        var draft = OnnxLoader.Open(path, request);
        if (tokenizer.HasTokensOf(draft.Tokenizer)) return draft;
        draft.Dispose();
        throw new InputException(
            $"--draft: the tokenizer of {path} ({draft.Tokenizer.VocabularySize} tokens) is not the model's " +
            $"({tokenizer.VocabularySize} tokens). " +
            "Take a model that was trained with the same one.");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Draft?.Dispose();
        Main.Dispose();
    }
}
