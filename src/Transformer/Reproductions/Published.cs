namespace Transformer.Reproductions;

/// <summary>The published claims that <c>reproduce</c> checks.</summary>
public static class Published
{
    /// <summary>All of them, in the order in which they are listed and run.</summary>
    public static IReadOnlyList<Reproduction> Rows { get; } =
        [.. MemoryRows.All, .. TaskRows.All, .. ContextRows.All, .. ShakespeareRows.All, .. OptimizationRows.All];
}
