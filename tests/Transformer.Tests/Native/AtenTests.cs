using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Tests.Native;

public sealed class AtenTests
{
    private static readonly Dictionary<string, Action> Mistakes = new()
    {
        ["three dimensions"] = () => Attend([4, 5, 8], [4, 5, 8], [4, 5, 8]),
        ["heads that do not divide"] = () => Attend([2, 4, 5, 8], [2, 3, 5, 8], [2, 3, 5, 8]),
        ["heads of another width"] = () => Attend([2, 4, 5, 8], [2, 4, 5, 6], [2, 4, 5, 8]),
        ["fewer values than keys"] = () => Attend([2, 4, 5, 8], [2, 4, 5, 8], [2, 4, 4, 8]),
        ["fewer value heads than key heads"] = () => Attend([2, 4, 5, 8], [2, 4, 5, 8], [2, 2, 5, 8]),
        ["other rows"] = () => Attend([2, 4, 5, 8], [3, 4, 5, 8], [3, 4, 5, 8]),
        ["a mask on a causal call"] = () =>
            Aten.ScaledDotProductAttention(ones(1, 1, 2, 4), ones(1, 1, 2, 4), ones(1, 1, 2, 4), ones(2, 2), causal: true),
        ["a norm's weight of another width"] = () => Aten.RmsNorm(ones(2, 5), ones(4), 1e-5),
        ["a norm's weight of two dimensions"] = () => Aten.RmsNorm(ones(2, 5), ones(1, 5), 1e-5),
        ["fewer gradients than parameters"] = () => Step([ones(4), ones(4)], [ones(4)]),
        ["a gradient of another size"] = () => Step([ones(4)], [ones(5)]),
    };

    public static TheoryData<string> Names => [.. Mistakes.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Arguments_that_do_not_fit_are_refused_before_the_call(string mistake) =>
        Assert.Throws<ArgumentException>(Mistakes[mistake]);

    [Fact]
    public void One_query_head_may_share_keys_and_values_with_others() =>
        Assert.Equal([2, 6, 5, 8], Aten.ScaledDotProductAttention(rand(2, 6, 5, 8), rand(2, 2, 7, 8), rand(2, 2, 7, 8)).shape);

    [Fact]
    public void A_pointer_is_where_the_elements_are()
    {
        var numbers = arange(10, ScalarType.Float32);
        Assert.Equal(Aten.DataPointer(numbers) + 3 * sizeof(float), Aten.DataPointer(numbers.narrow(0, 3, 2)));
        unsafe { Assert.Equal(3f, ((float*)Aten.DataPointer(numbers))[3]); }
        GC.KeepAlive(numbers);
    }

    private static void Attend(long[] query, long[] key, long[] value) =>
        Aten.ScaledDotProductAttention(rand(query), rand(key), rand(value));

    private static void Step(Tensor[] parameters, Tensor[] gradients) => Aten.FusedAdamW(
        parameters, gradients, [.. parameters.Select(parameter => zeros_like(parameter))],
        [.. parameters.Select(parameter => zeros_like(parameter))], [.. parameters.Select(_ => ones(1))], 0.1, 0.9, 0.99, 0, 1e-8, null);
}
