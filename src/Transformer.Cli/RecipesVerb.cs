using System.CommandLine;
using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Cli;

/// <summary><c>recipes</c>: what can be trained by name.</summary>
internal static class RecipesVerb
{
    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var verb = new Command("recipes", "Lists the recipes (whole runs) and the presets (architectures).") { SharedOptions.Json };
        verb.SetAction(request =>
        {
            var recipes = ConfigLibrary.Recipes.Select(name => (name, ConfigFile.Load(name, []).Description)).ToList();
            var presets = ConfigLibrary.Presets.Select(name => (name, parameters: new ModelSize(ConfigFile.Preset(name)).Parameters))
                .ToList();
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
            output.WriteLine($"Recipes: {PastedCommand.Of(TrainVerb.Name, "RECIPE")}");
            foreach (var (name, description) in recipes) output.WriteLine($"  {name,-26}{description}");
            output.WriteLine("Presets: model.preset in a file, or --set model.preset=PRESET");
            foreach (var (name, parameters) in presets) output.WriteLine($"  {name,-26}{Numbers.Count(parameters)} parameters");
        });
        return verb;
    }
}
