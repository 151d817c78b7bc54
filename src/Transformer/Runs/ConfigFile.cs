using System.Text;
using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Files;

namespace Transformer.Runs;

/// <summary>
/// Reads a run from YAML or JSON: the preset named by <c>model.preset</c>, then the file, then the overrides of the command line. All
/// errors are reported at once.
/// </summary>
public static class ConfigFile
{
    /// <summary>
    /// Reads a file, or a recipe of the library by name. Relative paths in the file count from its folder, those of overrides from the
    /// working directory.
    /// </summary>
    /// <param name="recipeOrFile">A path, or one of <see cref="ConfigLibrary.Recipes"/>.</param>
    /// <param name="overrides">As for <see cref="Parse"/>.</param>
    /// <exception cref="InputException">There is no such file or recipe, or it is wrong: one line per problem.</exception>
    public static RunConfig Load(string recipeOrFile, IEnumerable<string> overrides)
    {
        if (File.Exists(recipeOrFile))
        {
            var folder = Path.GetDirectoryName(Path.GetFullPath(recipeOrFile));
            return ParseIn(folder, ReadText(recipeOrFile), recipeOrFile, overrides);
        }
        if (ConfigLibrary.Recipes.Contains(recipeOrFile)) return Parse(ConfigLibrary.Recipe(recipeOrFile), recipeOrFile, overrides);
        if (ConfigLibrary.Presets.Contains(recipeOrFile))
            throw new InputException(
                $"{recipeOrFile} is a preset, the architecture of a run: take a recipe with --set model.preset={recipeOrFile}");
        throw new InputException($"{recipeOrFile}: no such file or recipe; " + (Nearest(recipeOrFile) switch
        {
            [] => $"the recipes are {string.Join(", ", ConfigLibrary.Recipes)}",
            [var nearest] => $"did you mean the recipe {nearest}?",
            var several => $"did you mean one of the recipes {string.Join(", ", several)}?",
        }));
    }

    // The one that is nearly spelt so, or all that begin so.
    private static List<string> Nearest(string name) => Spelling.Nearest(name, ConfigLibrary.Recipes) is { } nearest ? [nearest]
        : name.Length < 3 ? [] : [.. ConfigLibrary.Recipes.Where(recipe => recipe.StartsWith(name, StringComparison.Ordinal))];

    /// <summary>Reads a run from the text of a file.</summary>
    /// <param name="text">YAML or JSON.</param>
    /// <param name="origin">The file's name, for messages.</param>
    /// <param name="overrides"><c>KEY=VALUE</c> each, with a dotted key and a YAML value, e.g. <c>model.attention.heads=8</c> or
    /// <c>model.mlp={kind: gelu}</c>. They are applied to the file in their order. <c>model.preset</c> replaces the file's preset or, where
    /// it has none, its whole model.</param>
    /// <exception cref="InputException">The text is not YAML, or not a run: one line per problem.</exception>
    public static RunConfig Parse(string text, string origin, IEnumerable<string> overrides) =>
        ParseIn(null, text, origin, overrides);

    // Paths in the text count from the folder; where it is null, they stay as they are.
    private static RunConfig ParseIn(string? folder, string text, string origin, IEnumerable<string> overrides)
    {
        var problems = new List<ConfigProblem>();
        if (YamlReader.Read(text, origin, problems) is not JsonObject root)
            throw new InputException($"{origin}: found no keys, expected model, data and training, as in " +
                ShellCommand.Of("recipes", "names"));
        if (folder is not null) ConfigPaths.Resolve(root, folder);
        var sets = overrides.Select(ConfigOverride.Parse).ToLookup(set => set.Path == ConfigPreset.Path);
        foreach (var preset in sets[true]) ConfigPreset.Choose(root, preset.Value);
        ConfigPreset.Expand(root, problems);
        foreach (var set in sets[false]) set.Apply(root, problems);
        var run = ConfigJson.Bind<RunConfig>(root, problems);
        ConfigProblem.ThrowIfAny(problems, origin);
        return run!;
    }

    /// <summary>The architecture that a preset names.</summary>
    /// <param name="preset">One of <see cref="ConfigLibrary.Presets"/>.</param>
    public static ModelConfig Preset(string preset) => ConfigJson.FromJson<ModelConfig>(ConfigPreset.Read(preset), preset);

    /// <summary>A run as YAML with every key written; <see cref="Parse"/> reads the same run back.</summary>
    public static string ToYaml(RunConfig run) => YamlWriter.Write(ConfigJson.ToJson(run).AsObject());

    private static string ReadText(string path)
    {
        try
        {
            return WholeFile.Text(path);
        }
        catch (DecoderFallbackException error)
        {
            throw new InputException($"{path}: found bytes that are not UTF-8, expected a YAML or JSON text", error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read ({error.Message}), expected a YAML or JSON text", error);
        }
    }
}
