using Transformer.Configuration;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Memory;

/// <summary>
/// Small models with memory of other implementations (recurrent-memory-transformer, associative-recurrent-memory-transformer): their
/// weights in ours, and what they compute of four segments.
/// </summary>
internal sealed class MemoryGolden
{
    public const int Segment = 12, Segments = 4, MemoryTokens = 4;

    private readonly string folder;
    private readonly bool isGpt2, isAssociative;

    public MemoryGolden(string folder)
    {
        this.folder = folder;
        isGpt2 = !folder.EndsWith("llama", StringComparison.Ordinal);
        isAssociative = folder.StartsWith("armt", StringComparison.Ordinal);
        Expected = Golden.Read($"memory/{folder}/segments.safetensors");
    }

    /// <summary>Logits, states and some gradients.</summary>
    public Dictionary<string, Tensor> Expected { get; }

    /// <summary>[2, 48]</summary>
    public Tensor Ids => Expected["ids"];

    public ModelConfig Config => new()
    {
        Width = 32,
        ContextLength = Segment,
        Layers = 2,
        VocabularySize = 64,
        Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = isGpt2 ? 4 : 2, Bias = isGpt2 },
        Position = isGpt2 ? new LearnedPositionConfig() : new RotaryPositionConfig(),
        Mlp = isGpt2 ? new GeluTanhMlpConfig { Hidden = 48, Bias = true } : new SwiGluMlpConfig { Hidden = 48 },
        Norm = isGpt2 ? new LayerNormConfig() : new RmsNormConfig(),
        TiedHead = isGpt2,
        Memory = isAssociative
            ? new AssociativeMemoryConfig { Tokens = MemoryTokens, KeyWidth = 4 }
            : new RecurrentMemoryConfig { Tokens = MemoryTokens },
    };

    public TransformerModel Build()
    {
        var model = new TransformerModel(Config);
        var weights = Golden.Read($"memory/{folder.Replace("_wrap_pos", "", StringComparison.Ordinal)}/weights.safetensors");
        if (folder.EndsWith("_wrap_pos", StringComparison.Ordinal))
            foreach (var (name, value) in Golden.Read($"memory/{folder}/overrides.safetensors")) weights[name] = value;
        using var _ = no_grad();
        foreach (var (name, parameter) in model.named_parameters()) parameter.copy_(Its(weights, name).view(parameter.shape));
        return model;
    }

    /// <summary>The gradient of a matrix of the first block, as the golden has it.</summary>
    public Tensor GradientOfFirstQueries(TransformerModel model)
    {
        Tensor Of(string part) => model.Weight($"model.layers.0.self_attn.{part}_proj.weight").grad!;
        return isGpt2 ? cat([Of("q"), Of("k"), Of("v")], 0).t() : Of("q");
    }

    public string FirstQueries => isGpt2 ? "transformer.h.0.attn.c_attn.weight" : "model.layers.0.self_attn.q_proj.weight";

    /// <summary>The cross-entropy of all segments joined: every logit but the last predicts the next token.</summary>
    public Tensor Loss(Tensor logits) =>
        LanguageModelLoss.CrossEntropy(logits.narrow(1, 0, Segments * Segment - 1), Ids.narrow(1, 1, Segments * Segment - 1));

    private Tensor Its(Dictionary<string, Tensor> weights, string name)
    {
        if (name == MemoryConfig.TokensName) return weights["memory"];
        var parts = name.Split('.');
        if (parts is ["model", "layers", var layer, "memory", var projection, var kind])
            return weights[$"{(isGpt2 ? "transformer.h" : "model.layers")}.{layer}.W_m{projection[0]}.{kind}"];
        if (parts is ["model", "layers", var block, .. var rest])
        {
            var own = isAssociative ? "layer." : "";
            var module = string.Join('.', rest);
            return isGpt2 ? OfGpt2(weights, $"transformer.h.{block}.{own}", module) : weights[$"model.layers.{block}.{own}{module}"];
        }
        return !isGpt2 ? weights[name] : name switch
        {
            "model.embed_tokens.weight" => weights["transformer.wte.weight"],
            "model.embed_positions.weight" => Positions(weights["transformer.wpe.weight"]),
            _ => weights[name.Replace("model.norm", "transformer.ln_f", StringComparison.Ordinal)],
        };
    }

    // The rows that a segment uses: from 0 on, or for memory tokens behind the words the last four.
    private Tensor Positions(Tensor table)
    {
        var places = Config.Places;
        return folder.EndsWith("_wrap_pos", StringComparison.Ordinal)
            ? cat([table.narrow(0, 0, places - MemoryTokens), table.narrow(0, table.shape[0] - MemoryTokens, MemoryTokens)], 0)
            : table.narrow(0, 0, places);
    }

    private static Tensor OfGpt2(Dictionary<string, Tensor> weights, string block, string name)
    {
        var kind = name[(name.LastIndexOf('.') + 1)..];
        Tensor Linear(string module) => kind == "bias" ? weights[$"{block}{module}.bias"] : weights[$"{block}{module}.weight"].t();
        return name[..name.LastIndexOf('.')] switch
        {
            "input_layernorm" => weights[$"{block}ln_1.{kind}"],
            "post_attention_layernorm" => weights[$"{block}ln_2.{kind}"],
            "self_attn.q_proj" => Linear("attn.c_attn").narrow(0, 0, 32),
            "self_attn.k_proj" => Linear("attn.c_attn").narrow(0, 32, 32),
            "self_attn.v_proj" => Linear("attn.c_attn").narrow(0, 64, 32),
            "self_attn.o_proj" => Linear("attn.c_proj"),
            "mlp.up_proj" => Linear("mlp.c_fc"),
            "mlp.down_proj" => Linear("mlp.c_proj"),
            var other => throw new ArgumentException($"no such module: {other}", nameof(name)),
        };
    }
}
