using System.Runtime.Intrinsics;
using Transformer.Numerics;

namespace Transformer.Tests.Numerics;

public class VectorMathTests
{
    [Fact]
    public void Exp_is_the_exponential_function_to_a_few_units_in_the_last_place()
    {
        var worst = 0.0;
        for (var x = -87f; x < 88f; x += 0.00371f)
        {
            var found = VectorMath.Exp(Vector256.Create(x))[0];
            worst = Math.Max(worst, Math.Abs(found / Math.Exp(x) - 1));
        }
        Assert.True(worst < 3e-7, $"off by {worst} of the value");
    }

    [Fact]
    public void Exp_of_minus_infinity_is_next_to_nothing()
    {
        var found = VectorMath.Exp(Vector256.Create(float.NegativeInfinity))[0];
        Assert.InRange(found, 0, 1e-37f);
    }

    [Fact]
    public void Exp_of_large_numbers_is_infinite() =>
        Assert.Equal(float.PositiveInfinity, VectorMath.Exp(Vector256.Create(1e30f))[0]);
}
