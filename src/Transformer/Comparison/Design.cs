using Transformer.Configuration;
using Transformer.Data;
using Transformer.Runs;
using Transformer.Training;

namespace Transformer.Comparison;

/// <summary>One of the designs that an ablation compares.</summary>
/// <param name="Name">What it is called in tables.</param>
/// <param name="Folder">The same as the name of a folder.</param>
/// <param name="Settings">What makes it, <c>KEY=VALUE</c> each.</param>
/// <param name="Config">The run; its seed, rate and steps are those of a cell.</param>
/// <param name="Adjustments">What was changed beside the settings, one sentence each.</param>
public sealed record Design(
    string Name, string Folder, IReadOnlyList<string> Settings, RunConfig Config, IReadOnlyList<string> Adjustments)
{
    /// <summary>The designs of a grid, the reference first.</summary>
    /// <param name="source">A recipe or a file.</param>
    /// <param name="overrides">What all designs share, <c>KEY=VALUE</c> each.</param>
    /// <param name="variations">What they differ in.</param>
    /// <exception cref="InputException">A design is wrong: one line per problem, under its name.</exception>
    public static IReadOnlyList<Design> Of(
        string source, IReadOnlyList<string> overrides, IReadOnlyList<Variation> variations)
    {
        var designs = Variation.Grid(variations).Select(settings => Of(source, overrides, variations, settings)).ToList();
        foreach (var alike in designs.GroupBy(design => design.Folder).Where(group => group.Count() > 1))
            throw new InputException($"--vary: {string.Join(" and ", alike.Select(design => string.Join(", ", design.Settings)))} " +
                "have the same name; write their values out.");
        return designs;
    }

    /// <summary>The run as the trainer resolves it: vocabulary and paths are known.</summary>
    /// <param name="data">The design's data.</param>
    public Design Resolve(Dataset data) => this with { Config = Trainer.Resolve(Config, data) };

    private static Design Of(
        string source, IReadOnlyList<string> overrides, IReadOnlyList<Variation> variations, IReadOnlyList<string> settings)
    {
        var names = variations.Zip(settings, (variation, setting) => (variation, value: setting[(variation.Key.Length + 1)..]))
            .Where(pair => pair.variation.Values.Count > 1).Select(pair => pair.variation.NameOf(pair.value)).ToList();
        var name = names.Count == 0 ? "base" : string.Join(", ", names);
        var (kinds, values) = (settings.Where(IsKind).ToList(), settings.Where(setting => !IsKind(setting)).ToList());
        try
        {
            // A preset is chosen before everything else; a kind changes a part that is there.
            var run = ConfigJson.ToJson(ConfigFile.Load(source, kinds.Count == 0 ? [.. overrides, .. values] : overrides)).AsObject();
            var dropped = new List<string>();
            foreach (var kind in kinds)
            {
                var at = kind.IndexOf('=');
                foreach (var key in PartKind.Change(run, kind[..at], kind[(at + 1)..]))
                    dropped.Add($"{kind[(at + 1)..]} has no {kind[..(at - ".kind".Length)]}.{key}; left out");
            }
            var config = ConfigFile.Parse(run.ToJsonString(), source, kinds.Count == 0 ? [] : values);
            return new(name, FolderOf(name), settings, ConfigPaths.Absolute(config), dropped);
        }
        catch (InputException failure) when (names.Count > 0)
        {
            throw new InputException($"{name}: {failure.Message}", failure);
        }
    }

    private static bool IsKind(string setting) => PartKind.IsNamedBy(setting[..setting.IndexOf('=')]);

    private static string FolderOf(string name) => string.Join('-', new string([
        .. name.Select(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '_' ? letter : ' ')])
        .Split(' ', StringSplitOptions.RemoveEmptyEntries));
}
