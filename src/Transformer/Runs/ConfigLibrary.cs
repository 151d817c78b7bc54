using System.Reflection;

namespace Transformer.Runs;

/// <summary>The recipes (whole runs) and presets (architectures) that come with the library.</summary>
public static class ConfigLibrary
{
    private static readonly Assembly Assembly = typeof(ConfigLibrary).Assembly;

    /// <summary>The default recipe.</summary>
    public const string DefaultRecipe = "shakespeare-char";

    /// <summary>The names of the recipes, in alphabetical order.</summary>
    public static IReadOnlyList<string> Recipes { get; } = Names("recipes/");

    /// <summary>The names of the presets, in alphabetical order.</summary>
    public static IReadOnlyList<string> Presets { get; } = Names("presets/");

    /// <summary>The YAML of a recipe.</summary>
    public static string Recipe(string name) => Text($"recipes/{name}.yaml");

    /// <summary>The YAML of a preset: the keys of <c>model</c>.</summary>
    public static string Preset(string name) => Text($"presets/{name}.yaml");

    private static List<string> Names(string folder) =>
    [
        .. Assembly.GetManifestResourceNames()
            .Where(name => name.StartsWith(folder))
            .Select(name => Path.GetFileNameWithoutExtension(name))
            .Order(StringComparer.Ordinal),
    ];

    private static string Text(string resource)
    {
        using var stream = Assembly.GetManifestResourceStream(resource)
            ?? throw new ArgumentException($"{resource} is not part of the library.", nameof(resource));
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
