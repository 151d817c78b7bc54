using System.Text.Json.Serialization;

namespace Transformer.Configuration;

/// <summary>How sub-layers meet the residual stream.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(PreNormResidualConfig), "pre_norm")]
public abstract record ResidualConfig;

/// <summary>x + f(norm(x)), with one more norm before the head (GPT-2; Xiong et al. 2020).</summary>
public sealed record PreNormResidualConfig : ResidualConfig;
