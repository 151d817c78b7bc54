using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Transformer.Cli;
using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Tests.Architecture;

/// <summary>What the pages show and name is there: code, tests, configurations, commands.</summary>
public sealed partial class DocumentationTests
{
    private static readonly string[] Languages = ["csharp", "xml", "yaml", "json", "sh", "bash", "text", "js", "python", "mermaid"];

    private static readonly Type[] TestTypes = typeof(DocumentationTests).Assembly.GetTypes();

    private static readonly HashSet<string> Tests = [
        .. TestTypes.Select(type => type.Name), .. TestTypes.SelectMany(type => type.GetMethods()).Select(method => method.Name)];

    public static TheoryData<string> Pages => [.. Page.All];

    [Theory, MemberData(nameof(Pages))]
    public void Every_block_says_its_language(string page) => AssertNone(
        Page.Read(page).Fences.Where(fence => !Languages.Contains(fence.Language)).Select(fence => $"{fence.Place}: {fence.Language}"));

    [Theory, MemberData(nameof(Pages))]
    public void Code_stands_in_the_file_that_is_linked_above_it(string page) => AssertNone(
        from fence in Page.Read(page).Fences
        where fence.Language is "csharp" or "xml"
        let problem = CodeProblem(fence)
        where problem is not null
        select $"{fence.Place}: {problem}");

    [Theory, MemberData(nameof(Pages))]
    public void Tests_that_are_named_exist(string page) => AssertNone(
        from Match name in TestName().Matches(Page.Read(page).Text)
        where !Tests.Contains(name.Groups["name"].Value)
        select $"{page}: there is no test {name.Groups["name"].Value}");

    [Theory, MemberData(nameof(Pages))]
    public void Configurations_are_sound(string page) => AssertNone(
        from fence in Page.Read(page).Fences
        where fence.Language == "yaml"
        from alternative in Alternative().Split(fence.Code)
        let problem = ConfigurationProblem(alternative)
        where problem is not null
        select $"{fence.Place}: {problem}");

    [Theory, MemberData(nameof(Pages))]
    public void Commands_are_understood(string page) => AssertNone(
        from fence in Page.Read(page).Fences
        where fence.Language is "sh" or "bash" or "text"
        from call in ShellLine.Calls(fence.Code)
        let problem = CommandProblem(call)
        where problem is not null
        select $"{fence.Place}: {string.Join(' ', call)}: {problem}");

    [Theory, MemberData(nameof(Pages))]
    public void Options_within_a_sentence_exist(string page) => AssertNone(
        from Match code in Inline().Matches(Page.WithoutFences(Page.Read(page).Text))
        let words = ShellLine.Words(code.Groups["command"].Value)
        where words.Count > 1 && Verbs.Contains(words[0])
        let known = OptionsOf(Program.Commands().Parse(words))
        from word in words
        where word.StartsWith("--", StringComparison.Ordinal) && !known.Contains(word)
        select $"{page}: {code.Value}: {words[0]} has no {word}");

    private static void AssertNone(IEnumerable<string> problems) =>
        Assert.True(!problems.Any(), string.Join('\n', problems.Prepend("what a page shows is not so:")));

    private static IEnumerable<string> Verbs => Program.Commands().Subcommands.Select(verb => verb.Name);

    private static IEnumerable<string> OptionsOf(ParseResult request) =>
        request.CommandResult.Command.Options.Concat(request.RootCommandResult.Command.Options.Where(option => option.Recursive))
            .Select(option => option.Name);

    private static string? CodeProblem(Fence fence)
    {
        if (SourceLink().Match(fence.Above) is not { Success: true } link) return "the line above links no source file";
        var target = link.Groups["target"].Value;
        var file = Path.GetFullPath(Path.Combine(SourceTree.Root, Path.GetDirectoryName(fence.Page)!, target));
        if (!File.Exists(file)) return $"there is no {target}";
        return WithoutIndent(File.ReadAllText(file)).Contains(WithoutIndent(fence.Code), StringComparison.Ordinal) ? null
            : $"{target} has no such lines";
    }

    // A whole run, or keys of the default recipe: model, data, training, or keys of the model or of training by themselves.
    private static string? ConfigurationProblem(string yaml)
    {
        try
        {
            var problems = new List<ConfigProblem>();
            var keys = YamlReader.Read(yaml, "the block", problems)?.AsObject();
            ConfigProblem.ThrowIfAny(problems, "the block");
            if (keys is null) return "no keys";
            if (keys.ContainsKey("model") && keys.ContainsKey("data") && keys.ContainsKey("training"))
                ConfigFile.Parse(yaml, "the block", []);
            else ConfigFile.Load(ConfigLibrary.DefaultRecipe, keys.SelectMany(key => Overrides(key.Key, key.Value)));
            return null;
        }
        catch (InputException wrong)
        {
            return wrong.Message;
        }
    }

    private static IEnumerable<string> Overrides(string key, JsonNode? value) => key switch
    {
        "model" or "training" => value!.AsObject().SelectMany(part => Overrides($"{key}.{part.Key}", part.Value)),
        "model.mixers" => [$"{key}={value!.ToJsonString()}", "model.attention=null"],
        _ when key == "data" || key.Contains('.') => [$"{key}={value?.ToJsonString() ?? "null"}"],
        _ => Overrides($"{(TrainingKeys.Contains(key) ? "training" : "model")}.{key}", value),
    };

    private static readonly IEnumerable<string> TrainingKeys =
        ConfigJson.Options.GetTypeInfo(typeof(TrainingConfig)).Properties.Select(property => property.Name);

    private static string? CommandProblem(string[] call)
    {
        var request = Program.Commands().Parse(call);
        if (CommandLine.ProblemOf(request) is { } problem) return problem;
        var sets = request.GetResult(SharedOptions.Set)?.GetValueOrDefault<string[]>() ?? [];
        var recipe = request.CommandResult.Children.OfType<ArgumentResult>().SelectMany(argument => argument.Tokens)
            .Select(token => token.Value).FirstOrDefault(ConfigLibrary.DefaultRecipe);
        // The words of kinds from other assemblies are not known here; AddedKindTests runs such commands.
        if (request.GetResult(SharedOptions.Kinds) is { Tokens.Count: > 0 }) return null;
        if (call[0] != "train" || !ConfigLibrary.Recipes.Contains(recipe) || Array.Exists(sets, set => set.Contains('$'))) return null;
        try
        {
            ConfigFile.Load(recipe, sets);
            return null;
        }
        catch (InputException wrong)
        {
            return wrong.Message;
        }
    }

    private static string WithoutIndent(string code) => string.Join('\n', code.Trim().Split('\n').Select(line => line.Trim()));

    [GeneratedRegex(@"\[[^\]]+\]\((?<target>[^)#]+\.(?:cs|csproj))\)")]
    private static partial Regex SourceLink();

    // A sentence with low lines, or a class of tests.
    [GeneratedRegex(@"`(?:\w+Tests\.)?(?<name>[A-Z][A-Za-z0-9]*_[a-z]\w*_\w+|[A-Z]\w*Tests)`")]
    private static partial Regex TestName();

    [GeneratedRegex(@"^# or.*$", RegexOptions.Multiline)]
    private static partial Regex Alternative();

    [GeneratedRegex(@"(?<!`)`(?:transformer )?(?<command>[a-z][^`\n]*)`(?!`)")]
    private static partial Regex Inline();
}
