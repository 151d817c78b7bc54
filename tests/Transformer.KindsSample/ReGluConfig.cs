using Transformer.Configuration;

namespace Transformer.KindsSample;

/// <summary>down(relu(gate(x)) * up(x)) (Shazeer 2020).</summary>
[Kind("reglu", typeof(ReGlu))]
public sealed record ReGluConfig : MlpConfig
{
    /// <inheritdoc/>
    public override IEnumerable<ParameterSpec> Parameters(int width) =>
    [
        ParameterSpec.Matrix("gate_proj.weight", HiddenAt(width), width, MatrixRole.Value),
        .. base.Parameters(width),
    ];
}
