namespace Transformer.Configuration;

/// <summary>How a parameter is drawn before the first step.</summary>
public abstract record ParameterDraw;

/// <summary>
/// N(0, deviation), the deviation being what the <see cref="InitializationConfig"/> gives the role; zeros where that is zero.
/// </summary>
/// <param name="Role">What the matrix does in the model.</param>
public sealed record NormalDraw(MatrixRole Role) : ParameterDraw;

/// <summary>Zeros, of a matrix that learns like the others of its role.</summary>
/// <param name="Role">What the matrix does in the model.</param>
public sealed record ZeroDraw(MatrixRole Role) : ParameterDraw;

/// <summary>One number everywhere.</summary>
/// <param name="Value">The number.</param>
public sealed record ConstantDraw(double Value) : ParameterDraw;

/// <summary>As its layer initialises it.</summary>
public sealed record LayerDraw : ParameterDraw;

/// <summary>Logarithms of rates that are uniform up to 16 (Mamba-2, Gated DeltaNet): a token's decay is exp(-rate step).</summary>
public sealed record RateDraw : ParameterDraw;

/// <summary>Inverses under softplus of steps that are log-uniform from 0.001 to 0.1 (Mamba-2, Gated DeltaNet).</summary>
public sealed record StepDraw : ParameterDraw;

/// <summary>Uniform within 1 / sqrt(fan-in), a depthwise convolution's fan-in being its tokens, the last dimension.</summary>
public sealed record ConvolutionDraw : ParameterDraw;
