namespace Transformer.Configuration;

/// <summary>
/// What attention across an edge of an hourglass learns, between a group and its tokens: a block of cross-attention, whose queries alone
/// are normalised, and of the model's feed-forward layer, within the model's norms and residual.
/// </summary>
internal static class ResamplingParameters
{
    /// <summary>The module of the block.</summary>
    public const string Module = "resampling";

    /// <summary>The parameters, named relative to the pooling or upsampling.</summary>
    /// <param name="model">The model that the block is part of.</param>
    /// <param name="bias">Whether the projections have biases.</param>
    public static IEnumerable<ParameterSpec> Of(ModelConfig model, bool bias) =>
        ModelParameters.Of(model, model.SublayersFrom(SublayerSpec.CrossAttention, first: 0), model.Mlp,
        [
            .. Projection("q_proj", MatrixRole.Hidden, model.Width, bias), .. Projection("k_proj", MatrixRole.Hidden, model.Width, bias),
            .. Projection("v_proj", MatrixRole.Value, model.Width, bias),
            .. Projection("o_proj", MatrixRole.ResidualProjection, model.Width, bias),
        ]).Select(parameter => parameter.Within(Module));

    private static IEnumerable<ParameterSpec> Projection(string name, MatrixRole role, long width, bool bias)
    {
        yield return ParameterSpec.Matrix($"{name}.weight", width, width, role);
        if (bias) yield return new($"{name}.bias", [width], new ConstantDraw(0));
    }
}
