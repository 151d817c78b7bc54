using Transformer.Configuration;
using Transformer.Layers.Attention;
using Transformer.Layers.Positions;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Residuals;

/// <summary>
/// A whole forward pass straight from the papers, weight by weight: a list of streams, one line per kind of sub-layer, RMS norms and SwiGLU
/// written out. It uses nothing of the blocks.
/// </summary>
internal sealed class PlainReading(TransformerModel model)
{
    private readonly ModelConfig config = model.Config;

    public Tensor Hidden(Tensor ids)
    {
        var x = Weight("embed_tokens")[ids];
        var streams = Enumerable.Repeat(x, config.Residual is HyperConnectionsResidualConfig hyper ? hyper.Streams : 1).ToArray();
        for (var layer = 0; layer < config.Layers.Blocks; layer++)
        {
            var at = $"layers.{layer}";
            streams = Step(streams, at, "self_attn", "input", "post_attention", x => Attention(x, $"{at}.self_attn"));
            streams = Step(streams, at, "mlp", "pre_feedforward", "post_feedforward", x => Mlp(x, $"{at}.mlp"));
        }
        var end = streams.Aggregate((sum, stream) => sum + stream) / streams.Length;
        return config.Residual is PreNormResidualConfig or SandwichResidualConfig or HyperConnectionsResidualConfig ? Norm(end, "norm")
            : end;
    }

    private Tensor[] Step(Tensor[] streams, string at, string part, string before, string after, Func<Tensor, Tensor> f)
    {
        var x = streams[0];
        // With one norm per sub-layer, Llama names the one before the MLP post_attention_layernorm.
        if (before == "pre_feedforward" && config.Residual is not SandwichResidualConfig) before = "post_attention";
        Tensor Normed(Tensor value, string name) => Norm(value, $"{at}.{name}_layernorm");
        Tensor Number(string name) => model.Weight($"model.{at}.{part}_residual.{name}");
        switch (config.Residual)
        {
            case PreNormResidualConfig: return [x + f(Normed(x, before))];
            case PostNormResidualConfig: return [Normed(x + f(x), after)];
            case SandwichResidualConfig: return [x + Normed(f(Normed(x, before)), after)];
            case DeepNormResidualConfig: return [Normed(Math.Pow(2 * config.Layers.Blocks, 1.0 / 4) * x + f(x), after)];
            case ReZeroResidualConfig: return [x + Number("alpha") * f(x)];
            case HyperConnectionsResidualConfig { Streams: var n }:
                var y = f(Normed(Sum(i => Number("input")[i] * streams[i]), before));
                return [
                    .. Enumerable.Range(0, n).Select(i => Sum(j => Number("mixing")[i * n + j] * streams[j]) + Number("output")[i] * y)];
            default: throw new InvalidOperationException($"{config.Residual} is not read yet");
        }
        Tensor Sum(Func<int, Tensor> term) => Enumerable.Range(0, streams.Length).Select(term).Aggregate((sum, next) => sum + next);
    }

    private Tensor Attention(Tensor x, string at)
    {
        var tokens = (int)x.shape[1];
        using var rotary = new RotaryPosition(new RotaryPositionConfig(), 4, tokens, CPU);
        var rotation = rotary.At(0, tokens);
        Tensor Heads(string name) => matmul(x, Weight($"{at}.{name}_proj").t()).unflatten(2, [-1, 4]).transpose(1, 2);
        var z = SoftmaxAttention.Explicit(
            rotation.Apply(Heads("q")), rotation.Apply(Heads("k")), Heads("v"), 0.5, SoftmaxAttention.CausalMask(tokens, CPU));
        return matmul(z.transpose(1, 2).flatten(2), Weight($"{at}.o_proj").t());
    }

    private Tensor Mlp(Tensor x, string at)
    {
        var gate = matmul(x, Weight($"{at}.gate_proj").t());
        return matmul(gate * gate.sigmoid() * matmul(x, Weight($"{at}.up_proj").t()), Weight($"{at}.down_proj").t());
    }

    private Tensor Norm(Tensor x, string at) => x / (x.square().mean([-1L], keepdim: true) + 1e-5).sqrt() * Weight(at);

    private Tensor Weight(string name) => model.Weight($"model.{name}.weight");
}
