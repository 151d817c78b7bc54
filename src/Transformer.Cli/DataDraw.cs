using System.CommandLine;
using System.Reflection;
using System.Text.Json.Serialization;
using Transformer.Configuration;
using Transformer.Data.Tasks;
using Transformer.Runs;

namespace Transformer.Cli;

/// <summary><c>data draw</c>: pictures of a generated task, to look at or to give to others.</summary>
internal static class DataDraw
{
    private static readonly Argument<string> Source = new("RECIPE|FILE")
    {
        Description = "A recipe or a YAML or JSON file whose task has pictures.",
    };

    private static readonly Option<string> Out = new("--out")
    {
        Description = "The folder of the pictures and their rows, made here.",
        HelpName = "DIR",
        Required = true,
    };

    private static readonly Option<int> Count = new Option<int>("--count")
    {
        Description = "How many pictures.",
        HelpName = "N",
        DefaultValueFactory = _ => 16,
    }.Whole(1, PictureFolder.MostPictures);

    /// <summary>The subcommand.</summary>
    public static Command Create()
    {
        var draw = new Command("draw", "Writes validation pictures of a task, and what is asked about them.")
        {
            Source, SharedOptions.Set, Out, Count, SharedOptions.Json,
        };
        draw.SetAction(Draw);
        return draw;
    }

    private static void Draw(ParseResult request)
    {
        var (source, folder) = (request.GetRequiredValue(Source), request.GetRequiredValue(Out));
        var run = TrainingSource.Load(source, request.GetRequiredValue(SharedOptions.Set), "data", "draw");
        if (run.Data.Task is not PictureTaskConfig task)
            throw new InputException(
                $"{source}: {Named(run.Data.Task)} has no pictures, expected a task of kind {string.Join(" or ", Kinds)}.");
        using var data = new TaskDataset(task);
        var (pictures, rows) = PictureFolder.Write(data, folder, request.GetValue(Count));
        var output = request.InvocationConfiguration.Output;
        if (request.GetValue(SharedOptions.Json)) ScriptJson.Write(output, new { Path = folder, Pictures = pictures, Rows = rows });
        else output.WriteLine($"{folder}: {pictures:n0} pictures, {rows:n0} rows");
    }

    private static string Named(TaskConfig? task) => task is null ? "a text" : $"the task {ConfigJson.ToJson(task)["kind"]}";

    private static IEnumerable<object> Kinds => typeof(TaskConfig).GetCustomAttributes<JsonDerivedTypeAttribute>()
        .Where(kind => kind.DerivedType.IsAssignableTo(typeof(PictureTaskConfig))).Select(kind => kind.TypeDiscriminator!);
}
