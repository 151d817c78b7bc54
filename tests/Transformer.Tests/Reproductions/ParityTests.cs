using Transformer.Reproductions;

namespace Transformer.Tests.Reproductions;

public sealed class ParityTests
{
    [Fact]
    public void Negative_eigenvalues_solve_the_trained_length_in_a_hundred_steps_and_others_do_not()
    {
        var negative = Run(negativeEigenvalues: true, seed: 1, steps: 100);
        var positive = Run(negativeEigenvalues: false, seed: 1, steps: 100);
        Assert.InRange(negative.Curve[0].Accuracy, 0.95, 1);
        Assert.InRange(positive.Curve[0].Accuracy, 0.4, 0.7);
        Assert.InRange(positive.Curve[^1].Accuracy, 0.4, 0.6);
        Assert.Equal([40, 64, 128, 256], negative.Curve.Select(point => point.Length));
    }

    [Fact]
    public void The_same_seed_gives_the_same_accuracies_and_another_one_others()
    {
        double[] Curve(int seed) => [.. Run(negativeEigenvalues: true, seed, steps: 3).Curve.Select(point => point.Accuracy)];
        Assert.Equal(Curve(1), Curve(1));
        Assert.NotEqual(Curve(1), Curve(2));
    }

    private static Parity Run(bool negativeEigenvalues, int seed, int steps) =>
        Parity.Run(negativeEigenvalues, seed, steps: steps, cancellation: TestContext.Current.CancellationToken);
}
