using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Model;

/// <summary>
/// A small model of another implementation: its configuration, its weights in our names, and what it computes from given ids.
/// </summary>
internal sealed class ReferenceModel
{
    private readonly string folder;
    private readonly bool isGpt2;

    private ReferenceModel(string folder, ModelConfig config)
    {
        (this.folder, Config, isGpt2) = (folder, config, folder.StartsWith("nanogpt", StringComparison.Ordinal));
        Forward = Golden.Read($"{folder}/forward.safetensors");
        Training = Golden.Read($"{folder}/train.safetensors");
        (Logits, Loss, Gradient, Norm, FinalWeights) = isGpt2 ? (2e-5, 1e-5, 5e-6, 1e-5, 1e-3) : (5e-5, 5e-5, 1e-5, 1e-5, 2e-3);
    }

    public ModelConfig Config { get; }

    public Dictionary<string, Tensor> Forward { get; }

    public Dictionary<string, Tensor> Training { get; }

    // Tolerances of the goldens' READMEs: absolute, but for the gradient's norm. Of the final weights 99.9 % must lie within 2e-5.
    public double Logits { get; }

    public double Loss { get; }

    public double Gradient { get; }

    public double Norm { get; }

    public double FinalWeights { get; }

    public static ReferenceModel Open(string folder) => folder switch
    {
        "nanogpt/bias" => new(folder, Gpt2(bias: true)),
        "nanogpt/nobias" => new(folder, Gpt2(bias: false)),
        "llama/tied" => new(folder, Llama(tied: true)),
        "llama/untied" => new(folder, Llama(tied: false)),
        _ => throw new ArgumentOutOfRangeException(nameof(folder), folder, "no such golden"),
    };

    /// <summary>The model with the reference's weights; under another configuration where one is given.</summary>
    public TransformerModel Build(ModelConfig? config = null)
    {
        var model = new TransformerModel(config ?? Config);
        var weights = Read(isGpt2 ? "weights" : "model");
        Assert.Equal(weights.Keys.Order(), model.named_parameters().Select(parameter => parameter.name).Order());
        using var _ = no_grad();
        foreach (var (name, parameter) in model.named_parameters())
        {
            Assert.Equal(weights[name].shape, parameter.shape);
            parameter.copy_(weights[name]);
        }
        return model;
    }

    /// <summary>A file of weights or gradients in our names.</summary>
    public IReadOnlyDictionary<string, Tensor> Read(string file)
    {
        var path = $"{folder}/{file}.safetensors";
        var tensors = Golden.Read(path).Select(tensor => tensor.Value.ToStored(tensor.Key));
        var ours = isGpt2 ? HuggingFaceNames.FromGpt2(path, tensors, Config.TiedHead)
            : HuggingFaceNames.FromLlama(path, tensors, Config.TiedHead);
        return ours.ToDictionary(tensor => tensor.Key, tensor => tensor.Value.ToTensor());
    }

    private static ModelConfig Gpt2(bool bias) => new()
    {
        Width = 32,
        ContextLength = 24,
        Layers = 2,
        VocabularySize = 97,
        Attention = new SoftmaxAttentionConfig { Heads = 4, Bias = bias },
        Position = new LearnedPositionConfig(),
        Mlp = new GeluMlpConfig { Bias = bias },
        Norm = new LayerNormConfig { Bias = bias },
    };

    private static ModelConfig Llama(bool tied) => new()
    {
        Width = 48,
        ContextLength = 40,
        Layers = 3,
        VocabularySize = 101,
        Attention = new SoftmaxAttentionConfig { Heads = 6, KvHeads = 2 },
        Position = new RotaryPositionConfig(),
        Mlp = new SwiGluMlpConfig { Hidden = 128 },
        Norm = new RmsNormConfig(),
        TiedHead = tied,
    };
}
