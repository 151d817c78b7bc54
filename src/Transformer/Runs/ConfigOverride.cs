using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Transformer.Configuration;

namespace Transformer.Runs;

/// <summary>One <c>KEY=VALUE</c> of the command line, e.g. <c>model.attention.heads=8</c> or <c>model.mlp={kind: gelu}</c>.</summary>
/// <param name="Path">The dotted path of a key, list items by index: <c>training.parameters[0].frozen</c>.</param>
/// <param name="Value">The value, read as YAML. It replaces the old value, also a whole part.</param>
internal sealed partial record ConfigOverride(string Path, JsonNode? Value)
{
    /// <exception cref="InputException">There is no <c>=</c>, or the value is not YAML.</exception>
    public static ConfigOverride Parse(string text)
    {
        var at = text.IndexOf('=');
        var path = at < 0 ? "" : text[..at].Trim();
        if (!KeyPath().IsMatch(path)) throw new InputException($"--set {text}: expected KEY=VALUE, e.g. --set training.steps=100");
        var problems = new List<ConfigProblem>();
        var value = YamlReader.Read(text[(at + 1)..], $"--set {path}", problems);
        ConfigProblem.ThrowIfAny(problems, $"--set {path}");
        return new(path, value);
    }

    /// <summary>
    /// Writes the value into the tree. Missing parts of the path are created; a part that blocks the path is added to the problems.
    /// </summary>
    public void Apply(JsonObject root, List<ConfigProblem> problems)
    {
        var keys = Key().Matches(Path).Select(match => match.Value).ToArray();
        JsonNode parent = root;
        for (var i = 0; i < keys.Length; i++)
        {
            var index = int.TryParse(keys[i].Trim('[', ']'), out var parsed) ? parsed : int.MaxValue;
            var isIndex = keys[i][0] == '[';
            var isLast = i == keys.Length - 1;
            switch (parent)
            {
                case JsonObject mapping when !isIndex:
                    if (isLast) mapping[keys[i]] = Value?.DeepClone();
                    else parent = mapping[keys[i]] ??= Empty(keys[i + 1]);
                    break;
                case JsonArray list when isIndex && index < list.Count:
                    if (isLast) list[index] = Value?.DeepClone();
                    else parent = list[index] ??= Empty(keys[i + 1]);
                    break;
                case JsonArray list when isIndex:
                    problems.Add(new(Path, $"there is no item {keys[i]}, the list has {list.Count}; give the whole list"));
                    return;
                default:
                    problems.Add(new(Path, $"found {ConfigScalar.Found(parent)} above {keys[i]}"));
                    return;
            }
        }
    }

    private static JsonNode Empty(string key) => key[0] == '[' ? new JsonArray() : new JsonObject();

    [GeneratedRegex(@"\w+|\[[0-9]+\]")]
    private static partial Regex Key();

    [GeneratedRegex(@"^\w+(\.\w+|\[[0-9]+\])*\z")]
    private static partial Regex KeyPath();
}
