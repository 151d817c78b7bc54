using System.CommandLine;
using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Cli;

/// <summary><c>recipes</c>: what can be trained by name.</summary>
internal static class RecipesVerb
{
    private static readonly Argument<string?> Name = new("NAME")
    {
        Description = "A recipe or a preset, whose YAML is printed; default: all of them are listed.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var verb = new Command("recipes", "Lists the recipes (whole runs) and the presets (architectures), or prints one.")
        {
            Name, SharedOptions.Json,
        };
        verb.SetAction(request =>
        {
            if (request.GetValue(Name) is { } name) Print(name, request);
            else List(request);
        });
        return verb;
    }

    // As it is written, with its comments; as JSON every key.
    private static void Print(string name, ParseResult request)
    {
        string[] names = [.. ConfigLibrary.Recipes, .. ConfigLibrary.Presets];
        if (!names.Contains(name)) throw new InputException($"recipes: {Spelling.NotOneOf(name, names)}");
        var isRecipe = ConfigLibrary.Recipes.Contains(name);
        var output = request.InvocationConfiguration.Output;
        if (!request.GetValue(SharedOptions.Json))
            output.Write(isRecipe ? ConfigLibrary.Recipe(name) : ConfigLibrary.Preset(name));
        else if (isRecipe) ScriptJson.Write(output, ConfigJson.ToJson(ConfigFile.Load(name, [])));
        else ScriptJson.Write(output, ConfigJson.ToJson(ConfigFile.Preset(name)));
    }

    private static void List(ParseResult request)
    {
        var recipes = ConfigLibrary.Recipes.Select(name => (name, ConfigFile.Load(name, []).Description)).ToList();
        var presets = ConfigLibrary.Presets.Select(name => (name, parameters: new ModelSize(ConfigFile.Preset(name)).Parameters)).ToList();
        var output = request.InvocationConfiguration.Output;
        if (request.GetValue(SharedOptions.Json))
        {
            ScriptJson.Write(output, new
            {
                Recipes = recipes.Select(recipe => new { Name = recipe.name, recipe.Description }),
                Presets = presets.Select(preset => new { Name = preset.name, Parameters = preset.parameters }),
            });
            return;
        }
        output.WriteLine($"Recipes: {ShellCommand.Of("train", "RECIPE")}; {ShellCommand.Of("recipes", "NAME")} prints one");
        foreach (var (name, description) in recipes) output.WriteLine($"  {name,-26}{description}");
        output.WriteLine("Presets: model.preset in a file, or --set model.preset=PRESET");
        foreach (var (name, parameters) in presets) output.WriteLine($"  {name,-26}{Numbers.Count(parameters)} parameters");
    }
}
