using Transformer.Configuration;

namespace Transformer.Formats.Gguf;

/// <summary>The metadata of a GGUF file: every value is checked when it is taken, every error names file and key.</summary>
internal sealed class GgufFields(IReadOnlyDictionary<string, object> values, string file)
{
    /// <summary>Whether the key is there.</summary>
    public bool Has(string key) => values.ContainsKey(key);

    /// <summary>Refuses keys that this library does not know: any of them may mean another model.</summary>
    /// <exception cref="InputException">There is such a key.</exception>
    public void ExpectOnly(string prefix, params string[] known)
    {
        foreach (var key in values.Keys.Where(
            key => key.StartsWith(prefix, StringComparison.Ordinal) && !known.Contains(key[prefix.Length..])))
            throw Bad(key, $"found {Shown(values[key])}, and this library does not know what it does to the model");
    }

    /// <summary>An integer from 1 to a limit above that of any real model.</summary>
    public int Size(string key, int limit, int? absent = null) => Take(key, absent, $"an integer from 1 to {limit}", (value, out number) =>
    {
        number = value is byte or ushort or uint or int or long ? (int)Math.Clamp(Convert.ToInt64(value), 0, int.MaxValue) : 0;
        return number >= 1 && number <= limit;
    });

    /// <summary>A token's id.</summary>
    public long Index(string key, long absent) => Take<long>(key, absent, "a token's id", (value, out number) =>
    {
        number = value is uint or int ? Convert.ToInt64(value) : -1;
        return number >= 0;
    });

    /// <summary>A finite number above 0.</summary>
    public double Positive(string key, double? absent = null) => Take(key, absent, "a number above 0", (value, out number) =>
    {
        number = value is float or double ? Convert.ToDouble(value) : 0;
        return number > 0 && double.IsFinite(number);
    });

    /// <summary>A truth value.</summary>
    public bool Flag(string key, bool absent) =>
        Take<bool>(key, absent, "true or false", (value, out flag) => (flag = value is true) || value is false);

    /// <summary>A text.</summary>
    public string Text(string key, string? absent = null) => values.GetValueOrDefault(key, absent!) switch
    {
        string text => text,
        null => throw Bad(key, "missing, expected a text"),
        var other => throw Bad(key, $"found {Shown(other)}, expected a text"),
    };

    /// <summary>An array.</summary>
    public T[] Array<T>(string key) => values.GetValueOrDefault(key) switch
    {
        T[] array => array,
        null => throw Bad(key, $"missing, expected an array of {typeof(T).Name}"),
        var other => throw Bad(key, $"found {Shown(other)}, expected an array of {typeof(T).Name}"),
    };

    /// <summary>An array of as many elements as another one has.</summary>
    public T[] Array<T>(string key, int length) =>
        Array<T>(key) is var array && array.Length == length ? array : throw Bad(key, $"{array.Length} elements, expected {length}");

    /// <summary>An error about a key.</summary>
    public InputException Bad(string key, string problem) =>
        new($"{file}: {UntrustedText.Shown(key)}: {UntrustedText.Shown(problem, longest: 400)}");

    private delegate bool Valid<T>(object value, out T taken);

    private T Take<T>(string key, T? absent, string expected, Valid<T> valid) where T : struct => values.GetValueOrDefault(key) switch
    {
        null => absent ?? throw Bad(key, $"missing, expected {expected}"),
        var value => valid(value, out var taken) ? taken : throw Bad(key, $"found {Shown(value)}, expected {expected}"),
    };

    private static string Shown(object value) => value switch
    {
        Array array => $"an array of {array.Length}",
        string text => $"the text {UntrustedText.Shown(text)}",
        var other => $"{other}",
    };
}
