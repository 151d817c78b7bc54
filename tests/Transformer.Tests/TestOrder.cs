using System.Globalization;
using Xunit.Sdk;
using Xunit.v3;

// Seeds, the count of live tensors and libtorch's threads belong to the whole process.
[assembly: Parallelization(Mode = ParallelMode.None)]
[assembly: TestCollectionOrderer(typeof(Transformer.Tests.TestOrder))]
[assembly: TestMethodOrderer(typeof(Transformer.Tests.TestOrder))]
[assembly: TestCaseOrderer(typeof(Transformer.Tests.TestOrder))]

namespace Transformer.Tests;

/// <summary>
/// Shuffles classes, methods and cases by the seed in TRANSFORMER_TEST_SEED, so that no test can live on what an earlier one left behind.
/// Without a seed they run as xunit lists them.
/// </summary>
public sealed class TestOrder : ITestCollectionOrderer, ITestMethodOrderer, ITestCaseOrderer
{
    private static readonly int? Seed =
        int.TryParse(Environment.GetEnvironmentVariable("TRANSFORMER_TEST_SEED"), CultureInfo.InvariantCulture, out var seed) ? seed : null;

    public IReadOnlyCollection<T> OrderTestCollections<T>(IReadOnlyCollection<T> testCollections) where T : ITestCollection =>
        Shuffled(testCollections);

    public IReadOnlyCollection<T?> OrderTestMethods<T>(IReadOnlyCollection<T?> testMethods) where T : notnull, ITestMethod =>
        Shuffled(testMethods);

    public IReadOnlyCollection<T> OrderTestCases<T>(IReadOnlyCollection<T> testCases) where T : notnull, ITestCase => Shuffled(testCases);

    private static IReadOnlyCollection<T> Shuffled<T>(IReadOnlyCollection<T> tests)
    {
        if (Seed is not { } seed) return tests;
        T[] order = [.. tests];
        new Random(seed).Shuffle(order);
        return order;
    }
}
