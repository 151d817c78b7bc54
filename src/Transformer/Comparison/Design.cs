using System.Text.Json;
using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Runs;
using Transformer.Training;

namespace Transformer.Comparison;

/// <summary>One of the designs that an ablation compares.</summary>
/// <param name="Name">What it is called in tables.</param>
/// <param name="Folder">The name of its folder.</param>
/// <param name="Settings">What makes it, <c>KEY=VALUE</c> each.</param>
/// <param name="Config">The run; its seed, rate and steps are those of a cell.</param>
/// <param name="Adjustments">What was changed beside the settings, one sentence each.</param>
public sealed record Design(
    string Name, string Folder, IReadOnlyList<string> Settings, RunConfig Config, IReadOnlyList<string> Adjustments)
{
    private const string Preset = "model.preset=";
    private const int LongestFolder = 60;

    /// <summary>The designs of a grid, the reference first.</summary>
    /// <param name="source">A recipe or a file.</param>
    /// <param name="overrides">What all designs share, <c>KEY=VALUE</c> each.</param>
    /// <param name="variations">What they differ in.</param>
    /// <exception cref="InputException">A design is wrong, or two are the same: one line per problem, under their names.</exception>
    public static IReadOnlyList<Design> Of(
        string source, IReadOnlyList<string> overrides, IReadOnlyList<Variation> variations)
    {
        var designs = Variation.Grid(variations).Select(settings => Of(source, overrides, variations, settings)).ToList();
        foreach (var alike in designs.GroupBy(design => ConfigFile.ToYaml(design.Config)).Where(group => group.Count() > 1))
            throw new InputException(
                $"--vary: {string.Join(" and ", alike.Select(design => string.Join(' ', design.Settings)))} are the same design.");
        var folders = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        return [.. designs.Select((design, i) => design with
        {
            Folder = design.Folder.Length > 0 && folders.Add(design.Folder) ? design.Folder : $"{design.Folder}-{i + 1}".TrimStart('-'),
        })];
    }

    /// <summary>The run as the trainer resolves it: vocabulary and paths are known.</summary>
    /// <param name="data">The design's data.</param>
    public Design Resolve(Dataset data) => this with { Config = Trainer.Resolve(Config, data) };

    /// <summary>What designs have in common that differ in some keys alone.</summary>
    internal string NameWithout(IReadOnlyCollection<string> keys)
    {
        var others = Settings.Where(setting => !keys.Contains(setting[..setting.IndexOf('=')])).ToList();
        return others.Count == 0 ? "these designs" : string.Join(", ", others);
    }

    private static Design Of(
        string source, IReadOnlyList<string> overrides, IReadOnlyList<Variation> variations, IReadOnlyList<string> settings)
    {
        var names = variations.Zip(settings, (variation, setting) => (variation, value: setting[(variation.Key.Length + 1)..]))
            .Where(pair => pair.variation.Values.Count > 1).Select(pair => pair.variation.NameOf(pair.value)).ToList();
        var name = names.Count == 0 ? "base" : string.Join(", ", names);
        try
        {
            var presets = settings.Where(setting => setting.StartsWith(Preset, StringComparison.Ordinal)).ToList();
            var run = ConfigJson.ToJson(ConfigFile.Load(source, [.. overrides, .. presets])).AsObject();
            // A whole part is set before what is in it.
            var dropped = settings.Except(presets).OrderBy(setting => setting[..setting.IndexOf('=')].Count(letter => letter == '.'))
                .SelectMany(setting => Apply(setting, run)).ToList();
            var config = ConfigJson.FromJson<RunConfig>(run, source);
            return new(name, FolderOf(name), settings, ConfigPaths.Absolute(config), dropped);
        }
        catch (InputException failure) when (names.Count > 0)
        {
            throw new InputException($"{name}: {failure.Message}", failure);
        }
    }

    // What the setting made the run lose.
    private static IEnumerable<string> Apply(string setting, JsonObject run)
    {
        var change = ConfigOverride.Parse(setting);
        if (!PartKind.IsNamedBy(change.Path) || change.Value?.GetValueKind() != JsonValueKind.String)
        {
            var problems = new List<ConfigProblem>();
            change.Apply(run, problems);
            ConfigProblem.ThrowIfAny(problems, setting);
            return [];
        }
        var (kind, part) = (change.Value.GetValue<string>(), change.Path[..^PartKind.Suffix.Length]);
        return PartKind.Change(run, change.Path, kind).Select(key => $"{kind} has no {part}.{key}; left out");
    }

    private static string FolderOf(string name)
    {
        var slug = string.Join('-', new string([
            .. name.Select(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '_' ? letter : ' ')])
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)).Trim('.');
        return slug.Length <= LongestFolder ? slug : slug[..LongestFolder];
    }
}
