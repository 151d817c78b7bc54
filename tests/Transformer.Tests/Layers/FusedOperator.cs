using Transformer.Distributed;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers;

/// <summary>
/// The contract of every operator with its own gradient: the values and gradients of its formula, whichever inputs need one.
/// </summary>
internal static class FusedOperator
{
    private const int Repetitions = 150;

    /// <summary>Compares values, then the gradients of every choice of inputs, relative to the largest number of each tensor.</summary>
    public static void Equals(Func<Tensor[], Tensor> formula, Func<Tensor[], Tensor> fused, Tensor[] inputs, double tolerance)
    {
        using var scope = NewDisposeScope();
        for (var needed = 0; needed < 1 << inputs.Length; needed++)
        {
            var (exact, found) = (Leaves(inputs, needed, float64), Leaves(inputs, needed, float32));
            var (expected, actual) = (formula(exact), fused(found));
            Near(expected, actual, tolerance, "values");
            Assert.Equal(needed != 0, actual.requires_grad);
            if (needed == 0) continue;

            var direction = randn(expected.shape);
            (expected * direction).sum().backward();
            (actual * direction).sum().backward();
            for (var i = 0; i < inputs.Length; i++)
            {
                if (exact[i].grad is { } gradient) Near(gradient, found[i].grad!, tolerance, $"gradient of input {i}, needed {needed:b}");
                else Assert.Null(found[i].grad);
            }
        }
        foreach (var mode in (Func<IDisposable>[])[no_grad, () => inference_mode()])
        {
            using var _ = mode();
            Near(formula(Leaves(inputs, 0, float64)), fused(inputs), tolerance, "values without gradients");
        }
    }

    /// <summary>
    /// Calls an operator often, with its backward pass, without it and without gradients, and compares the process's memory.
    /// </summary>
    public static void Keeps_nothing(Func<Tensor[], Tensor> fused, Tensor[] inputs)
    {
        Run();
        var before = Environment.WorkingSet;
        Run();
        var grown = Environment.WorkingSet - before;
        Assert.True(grown < Repetitions * inputs.Sum(input => input.numel() * sizeof(float)) / 4, $"{grown >> 20} MiB more");

        void Run()
        {
            for (var i = 0; i < Repetitions; i++)
            {
                using var scope = NewDisposeScope();
                fused(Leaves(inputs, ~0, float32)).sum().backward();
                fused(Leaves(inputs, ~0, float32));
                using var _ = no_grad();
                fused(inputs);
            }
        }
    }

    private static Tensor[] Leaves(Tensor[] inputs, int needed, ScalarType type) =>
        [.. inputs.Select((input, i) => input.detach().to(type).clone().requires_grad_((needed >> i & 1) == 1))];

    // A gradient that is exactly zero, such as that of a single token's query, has no size of its own.
    private static void Near(Tensor expected, Tensor actual, double tolerance, string what)
    {
        var size = expected.detach().abs().max().to(float64).item<double>();
        Tests.Near.Equal(expected, actual, tolerance * (size == 0 ? 1 : Math.Max(1e-24, size)), what);
    }
}
