using static TorchSharp.torch;

namespace Transformer.Tests;

/// <summary>Equality of tensors up to a stated distance; a failure says how far apart they are and where.</summary>
internal static class Near
{
    public static void Equal(Tensor expected, Tensor actual, double tolerance, string what = "tensor")
    {
        Assert.Equal(expected.shape, actual.shape);
        var distance = Distance(expected, actual);
        Assert.True(distance <= tolerance, $"{what}: off by {distance:g3}, expected at most {tolerance:g3}");
    }

    public static void Equal(double expected, double actual, double tolerance, string what = "number") =>
        Assert.True(
            Math.Abs(expected - actual) <= tolerance,
            $"{what}: expected {expected:g9}, found {actual:g9}, further apart than {tolerance:g3}");

    /// <summary>The greatest absolute difference; NaN if either holds one.</summary>
    public static double Distance(Tensor a, Tensor b) => (a.detach().to(float64) - b.detach().to(float64)).abs().max().item<double>();
}
