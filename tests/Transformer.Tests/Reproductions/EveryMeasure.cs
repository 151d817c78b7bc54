using System.Collections;
using System.Diagnostics.CodeAnalysis;

namespace Transformer.Tests.Reproductions;

/// <summary>Measures of an arm of which all are one.</summary>
internal sealed class EveryMeasure : IReadOnlyDictionary<string, double>
{
    public IEnumerable<string> Keys => [];

    public IEnumerable<double> Values => [];

    public int Count => 0;

    public double this[string key] => 1;

    public bool ContainsKey(string key) => true;

    public bool TryGetValue(string key, [MaybeNullWhen(false)] out double value) => (value = 1) == 1;

    public IEnumerator<KeyValuePair<string, double>> GetEnumerator() => Enumerable.Empty<KeyValuePair<string, double>>().GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
