using MathNet.Numerics;
using Transformer.Configuration;
using Transformer.Model;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Reproductions;

// L blocks · C width

/// <summary>
/// Figure 3 of Xiong et al. 2020 (arXiv:2002.04745): the norm of the gradient of the last block's MLP output matrix before the first step,
/// by depth. In theory it is of the same order at every depth under post-norm and falls as L^(-1/2) under pre-norm.
/// </summary>
/// <param name="Rows">One per depth, the shallowest first.</param>
/// <param name="PreNormSlope">The slope of ln(norm) over ln(L) by least squares; the published one is -1/2.</param>
/// <param name="PostNormSlope">The same; the published one is 0.</param>
/// <param name="Seeds">The number of models over which the norms are averaged.</param>
public sealed record ResidualGradients(IReadOnlyList<ResidualGradients.Row> Rows, double PreNormSlope, double PostNormSlope, int Seeds)
{
    /// <summary>The mean gradient norms at one depth.</summary>
    /// <param name="Layers">L.</param>
    /// <param name="PreNorm">Under pre-norm.</param>
    /// <param name="PostNorm">Under post-norm.</param>
    public sealed record Row(int Layers, double PreNorm, double PostNorm);

    /// <summary>The default depths.</summary>
    public static IReadOnlyList<int> Depths { get; } = [2, 4, 8, 16, 32];

    private const int BatchSize = 4;

    // The paper's block: layer norm, ReLU, four times the width, sinusoidal positions, embeddings of variance one. Random tokens predict
    // random tokens.
    private static readonly ModelConfig Model = new()
    {
        Width = 64,
        ContextLength = 16,
        Layers = 1,
        VocabularySize = 256,
        Attention = new SoftmaxAttentionConfig { Heads = 4 },
        Position = new SinusoidalPositionConfig(),
        Mlp = new ReluMlpConfig(),
        Norm = new LayerNormConfig(),
        Initialization = new XavierInitializationConfig { Deviation = 1 },
        TiedHead = false,
    };

    /// <summary>Draws models of every depth and computes one gradient of each.</summary>
    /// <param name="seed">The seed of the first model; the next ones count up from it.</param>
    /// <param name="seeds">How many models of each depth and kind.</param>
    /// <param name="depths">The depths, two or more; <see cref="Depths"/> where null.</param>
    /// <param name="cancellation">Ends the experiment between two models.</param>
    public static ResidualGradients Run(
        int seed, int seeds = 5, IReadOnlyList<int>? depths = null, CancellationToken cancellation = default)
    {
        using var oneThread = new OneThread();
        var rows = (depths ?? Depths)
            .Select(layers => new Row(layers, Mean(layers, new PreNormResidualConfig()), Mean(layers, new PostNormResidualConfig())))
            .ToList();
        return new(
            rows,
            Slope([.. rows.Select(row => (row.Layers, row.PreNorm))]),
            Slope([.. rows.Select(row => (row.Layers, row.PostNorm))]),
            seeds);

        double Mean(int layers, ResidualConfig residual) => Enumerable.Range(seed, seeds).Average(each =>
        {
            cancellation.ThrowIfCancellationRequested();
            return GradientNorm(Model with { Layers = layers, Residual = residual }, each);
        });
    }

    private static double GradientNorm(ModelConfig config, int seed)
    {
        manual_seed(seed);
        using var scope = NewDisposeScope();
        using var model = new TransformerModel(config);
        var (ids, targets) = (Tokens(), Tokens());
        LanguageModelLoss.CrossEntropy(model.call(ids, null), targets).backward();
        var last = model.named_parameters()
            .Last(parameter => parameter.name.EndsWith("mlp.down_proj.weight", StringComparison.Ordinal)).parameter;
        return last.grad!.norm().item<float>();

        Tensor Tokens() => randint(0, config.VocabularySize!.Value, [BatchSize, config.ContextLength]);
    }

    /// <summary>The slope of the least-squares line through (ln x, ln y).</summary>
    /// <param name="points">Two or more, of different x, all above zero.</param>
    public static double Slope(IReadOnlyList<(int X, double Y)> points) =>
        Fit.Line([.. points.Select(point => Math.Log(point.X))], [.. points.Select(point => Math.Log(point.Y))]).B;
}
