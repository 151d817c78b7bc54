using Transformer.Configuration;
using Transformer.Generation;
using Transformer.Inference.Cpu;
using Transformer.Model;
using Transformer.Tokenization;

namespace Transformer.Inference.Torch;

/// <summary>Inference with a model of libtorch: by the CPU kernels where they support it, else by libtorch.</summary>
public static class ModelInference
{
    /// <summary>Inference with the current weights of a model; after a step of training make another.</summary>
    /// <param name="model">The model; it stays the caller's, and is in evaluation meanwhile where libtorch computes.</param>
    /// <param name="format">The format of matrices in memory.</param>
    /// <param name="threads">How many threads compute; as many as libtorch's where null.</param>
    /// <exception cref="InputException">The weights are to be packed, but libtorch computes the model.</exception>
    public static InferenceModel Of(TransformerModel model, WeightFormat format = WeightFormat.AsIs, int? threads = null) =>
        Choose(model, format, threads) ?? SegmentedInferenceModel.Over(new TorchInferenceModel(model));

    /// <summary>
    /// Continues token sequences with the current weights of a model. All ranks that share the model call this:
    /// rank 0 generates, the others get nothing.
    /// </summary>
    /// <inheritdoc cref="TextGenerator.Generate"/>
    public static IReadOnlyList<GeneratedText> Generate(
        this TransformerModel model, IReadOnlyList<int[]> prompts, SamplingOptions options, Tokenizer? tokenizer = null,
        Action<int, int>? onToken = null, Action<int, string>? onText = null, CancellationToken cancellation = default) =>
        model.Generate(_ => prompts, options, tokenizer, onToken, onText, cancellation);

    /// <summary>The same for prompts with pictures, which the model has to read first.</summary>
    /// <inheritdoc cref="TextGenerator.Generate"/>
    internal static IReadOnlyList<GeneratedText> Generate(
        this TransformerModel model, Func<InferenceModel, IReadOnlyList<int[]>> prompts, SamplingOptions options,
        Tokenizer? tokenizer = null, Action<int, int>? onToken = null, Action<int, string>? onText = null,
        CancellationToken cancellation = default)
    {
        using var inference = Of(model);
        if (inference.Core is TorchInferenceModel { IsFollower: true } follower)
        {
            follower.Follow();
            return [];
        }
        var generator = new TextGenerator(inference, tokenizer);
        return generator.Generate(prompts(inference), options, onToken, onText, cancellation: cancellation);
    }

    /// <summary>The CPU kernels; null where libtorch has to compute.</summary>
    internal static InferenceModel? Choose(TransformerModel model, WeightFormat format, int? threads)
    {
        if (CpuInferenceModel.TryCreate(model, format, threads) is { } kernels) return kernels;
        if (format == WeightFormat.AsIs) return null;
        if (CpuKernels.Supports(model.Config) is { } reason)
            throw new InputException($"quantize: weights are packed for the CPU kernels only. {reason}");
        throw new InputException(model.TensorParallelGroup is null
            ? "quantize: weights are packed for the CPU kernels only, and this model is on another device. Leave it out."
            : "quantize: weights are packed where one process has the whole model. Leave it out, or do not share the model.");
    }
}
