using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Mlp;
using static TorchSharp.torch;
using Layer = Transformer.Layers.Mlp.Mlp;

namespace Transformer.Tests.Layers.Mlp;

public sealed class MlpTests
{
    private static readonly Dictionary<string, Func<Tensor, Tensor>> Formulas = new()
    {
        ["gelu"] = x => x * (1 + (x / Math.Sqrt(2)).erf()) / 2,
        ["gelu_tanh"] = x => x * (1 + (Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x.pow(3))).tanh()) / 2,
        ["relu"] = x => x * (x > 0),
        ["relu_squared"] = x => x * x * (x > 0),
        ["swiglu"] = x => x * x / (1 + (-x).exp()),    // gate and up are the identity here: silu(x) * x
    };

    public static TheoryData<string> Kinds => [.. Tiny.Mlps.Keys];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Between_identities_a_layer_is_its_activation(string kind)
    {
        using var layer = Layer.FromConfig(Tiny.Mlps[kind] with { Hidden = 4, Bias = false }, 4);
        using (no_grad()) foreach (var parameter in layer.parameters()) parameter.copy_(eye(4));
        var x = linspace(-4, 4, 44).reshape(11, 4);
        Near.Equal(Formulas[kind](x.to(float64)), layer.call(x, new ForwardContext()), 2e-6);
    }

    [Fact]
    public void Biases_are_added_before_and_after_the_activation()
    {
        using var layer = Layer.FromConfig(new ReluMlpConfig { Hidden = 4, Bias = true }, 4);
        using (no_grad())
        {
            foreach (var name in (string[])["up_proj", "down_proj"]) layer.Weight($"{name}.weight").copy_(eye(4));
            layer.Weight("up_proj.bias").fill_(2);
            layer.Weight("down_proj.bias").fill_(3);
        }
        Near.Equal(full([1, 4], 4.0), layer.call(full([1, 4], -1.0f), new ForwardContext()), 0);
    }

    [Fact]
    public void A_gated_layer_multiplies_up_by_the_gate_s_silu()
    {
        using var layer = new GatedMlp(width: 5, hidden: 7, bias: true);
        var x = randn(2, 3, 5);
        Tensor Product(Tensor value, string name) => matmul(value, layer.Weight($"{name}.weight").t()) + layer.Weight($"{name}.bias");
        var gate = Product(x, "gate_proj");
        Near.Equal(Product(gate * gate.sigmoid() * Product(x, "up_proj"), "down_proj"), layer.call(x, new ForwardContext()), 1e-6);
    }
}
