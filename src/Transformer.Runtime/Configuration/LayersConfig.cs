using System.Collections;
using System.Runtime.CompilerServices;
using System.Text.Json.Serialization;

namespace Transformer.Configuration;

/// <summary>
/// The depth of a model from the embedding to the head: a number of blocks, or a list of such numbers and of hourglasses, which have layers
/// of their own: <c>[2, {shorten: 3, layers: 4}, 2]</c>.
/// </summary>
[JsonConverter(typeof(LayersConverter))]
[CollectionBuilder(typeof(LayersConfig), nameof(Of))]
public sealed class LayersConfig : IReadOnlyList<LayersItem>, IEquatable<LayersConfig>
{
    private readonly LayersItem[] items;

    private LayersConfig(LayersItem[] items) => this.items = items;

    /// <summary>The layers of a list.</summary>
    public static LayersConfig Of(ReadOnlySpan<LayersItem> items) => new(items.ToArray());

    /// <summary>Blocks alone.</summary>
    public static implicit operator LayersConfig(int blocks) => new([blocks]);

    /// <inheritdoc/>
    public int Count => items.Length;

    /// <inheritdoc/>
    public LayersItem this[int index] => items[index];

    /// <summary>L, the number of all blocks, those of hourglasses included.</summary>
    public int Blocks => (int)Math.Min(int.MaxValue, items.Sum(item => (long)(item.Hourglass?.Layers.Blocks ?? Math.Max(0, item.Blocks))));

    /// <summary>The hourglasses with their keys relative to these layers, an outer one before those within it.</summary>
    internal IEnumerable<(string Path, HourglassConfig Hourglass)> Hourglasses =>
        from item in items.Index()
        where item.Item.Hourglass is not null
        from found in item.Item.Hourglass!.Layers.Hourglasses
            .Select(inner => ($"[{item.Index}].layers{inner.Path}", inner.Hourglass)).Prepend(($"[{item.Index}]", item.Item.Hourglass))
        select found;

    /// <summary>The same layers with other hourglasses.</summary>
    /// <param name="map">Gives another one for each, those within it included already.</param>
    internal LayersConfig Select(Func<HourglassConfig, HourglassConfig> map) => new(
    [
        .. items.Select(item => item.Hourglass is { } hourglass
            ? map(hourglass with { Layers = hourglass.Layers.Select(map) })
            : item),
    ]);

    /// <summary>What is wrong with the items of a list, not with what is in an hourglass; paths are relative to these layers.</summary>
    internal IEnumerable<ConfigProblem> ItemProblems =>
        from item in items.Index()
        where items.Length > 1 && item.Item is { Hourglass: null, Blocks: < 1 }
        select new ConfigProblem($"[{item.Index}]", $"found {item.Item.Blocks}, expected 1 or more blocks");

    /// <inheritdoc/>
    public IEnumerator<LayersItem> GetEnumerator() => items.AsEnumerable().GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <inheritdoc/>
    public bool Equals(LayersConfig? other) => other is not null && items.SequenceEqual(other.items);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as LayersConfig);

    /// <inheritdoc/>
    public override int GetHashCode() => items.Aggregate(0, HashCode.Combine);

    /// <summary>As the key's value reads.</summary>
    public override string ToString() => this is [{ Hourglass: null } only] ? $"{only}" : $"[{string.Join(", ", items)}]";
}

/// <summary>Some blocks one behind the other, or an hourglass.</summary>
/// <param name="Blocks">How many blocks; 0 for an hourglass.</param>
/// <param name="Hourglass">The hourglass; null for blocks.</param>
public readonly record struct LayersItem(int Blocks, HourglassConfig? Hourglass)
{
    /// <summary>Blocks.</summary>
    public static implicit operator LayersItem(int blocks) => new(blocks, null);

    /// <summary>An hourglass.</summary>
    public static implicit operator LayersItem(HourglassConfig hourglass) => new(0, hourglass);

    /// <summary>As the key's value reads.</summary>
    public override string ToString() => Hourglass?.ToString() ?? FormattableString.Invariant($"{Blocks}");
}
