using Transformer.Configuration;

namespace Transformer.KindsSample;

/// <summary>g x / |x| with one learned length g (Nguyen and Salazar 2019).</summary>
[Kind("scale", typeof(ScaleNorm))]
public sealed record ScaleNormConfig : NormConfig
{
    /// <inheritdoc/>
    public override IEnumerable<ParameterSpec> Parameters(long width) => [new("length", [1], new ConstantDraw(Math.Sqrt(width)))];
}
