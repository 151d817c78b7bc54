using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Training;

// n matrices of one shape · R rows · K columns

/// <summary>
/// Muon (Jordan et al. 2024): the Nesterov momentum of each hidden matrix is replaced by the nearest matrix whose singular values are all
/// about one, found by Newton-Schulz steps, so that rare directions learn as fast as common ones. Matrices of one shape are batched. All
/// other parameters are left to AdamW.
/// </summary>
public sealed class Muon : Optimizer
{
    private readonly MuonConfig config;
    private readonly AdamW rest;
    private readonly List<(ParameterView[] Matrices, Tensor Momentum)> groups = [];

    /// <param name="config">Rates, momentum and number of Newton-Schulz steps.</param>
    /// <param name="space">The parameters.</param>
    public Muon(MuonConfig config, ParameterSpace space)
    {
        this.config = config;
        using var scope = NewDisposeScope();
        var hidden = space.Parameters.Where(parameter => parameter.Spec.IsHidden).ToList();
        foreach (var alike in hidden.GroupBy(parameter => (parameter.Value.shape[0], parameter.Value.shape[1])))
        {
            var momentum = zeros(alike.Count(), alike.Key.Item1, alike.Key.Item2, device: space.Values.device).DetachFromDisposeScope();
            groups.Add(([.. alike], momentum));
        }
        rest = new AdamW(config.Adamw, [.. space.Parameters.Except(hidden)], space);
    }

    /// <inheritdoc/>
    public override IEnumerable<(string Name, Tensor Value)> State =>
        groups.Select(group => ($"muon.momentum.{group.Momentum.shape[1]}x{group.Momentum.shape[2]}", group.Momentum)).Concat(rest.State);

    /// <inheritdoc/>
    public override void Step(double schedule, Tensor? gradientScale = null)
    {
        using var _ = no_grad();
        foreach (var (matrices, momentum) in groups)
        {
            using var scope = NewDisposeScope();
            var gradients = stack(matrices.Select(matrix => matrix.Gradient!));                          // [n, R, K]
            momentum.mul_(config.Momentum).add_(gradients, alpha: 1 - config.Momentum);
            var steps = Orthogonalize(gradients.mul_(1 - config.Momentum).add_(momentum, alpha: config.Momentum), config.NewtonSchulzSteps);
            var shape = Math.Sqrt(Math.Max(1, (double)steps.shape[1] / steps.shape[2]));
            for (var i = 0; i < matrices.Length; i++)
            {
                var rate = config.LearningRate * schedule * matrices[i].LearningRateScale;
                matrices[i].Value.mul_(1 - rate * config.WeightDecay).add_(steps[i], alpha: -rate * shape);
            }
        }
        rest.Step(schedule, gradientScale);
    }

    /// <summary>
    /// Moves the singular values of each matrix to about one (0.7 to 1.2) by the odd polynomial 3.4445 x - 4.7750 x^3 + 2.0315 x^5, whose
    /// slope at zero is chosen for speed. Singular vectors stay.
    /// </summary>
    /// <param name="x">[n, R, K]</param>
    /// <param name="steps">How often the polynomial is applied.</param>
    /// <returns>[n, R, K]</returns>
    public static Tensor Orthogonalize(Tensor x, int steps)
    {
        var tall = x.shape[1] > x.shape[2];
        if (tall) x = x.transpose(1, 2);
        x = x / (linalg.norm(x, (long[])[1, 2], keepdim: true) + 1e-7);
        for (var i = 0; i < steps; i++)
        {
            var square = bmm(x, x.transpose(1, 2));
            var polynomial = -4.7750 * square + 2.0315 * bmm(square, square);
            x = 3.4445 * x + bmm(polynomial, x);
        }
        return tall ? x.transpose(1, 2) : x;
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        foreach (var (_, momentum) in groups) momentum.Dispose();
        rest.Dispose();
    }
}
