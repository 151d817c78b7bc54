using System.CommandLine;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Runs;

namespace Transformer.Cli;

/// <summary>
/// <c>data</c>: texts turned into token files once, so that training need not hold them in memory, and pictures of tasks.
/// </summary>
internal static class DataVerb
{
    private static readonly Argument<string> Text = new("FILE") { Description = "A UTF-8 text, or builtin:NAME." };
    private static readonly Argument<string> Folder = new("DIR") { Description = "A folder that `data prepare` wrote." };
    private static readonly Option<string> Out = new("--out")
    {
        Description = "The folder of the token files, made here.",
        HelpName = "DIR",
        Required = true
    };

    /// <summary>The verb with its subcommands.</summary>
    public static Command Create()
    {
        var prepare = new Command("prepare", "Turns a text of any length into token files for data.path.")
        {
            Text, Out, SharedOptions.Set, SharedOptions.Json,
        };
        prepare.SetAction(Prepare);
        var info = new Command("info", "Shows what a folder of token files holds.") { Folder, SharedOptions.Json };
        info.SetAction(request => Describe(request.GetRequiredValue(Folder), request));
        return new Command("data", "Prepares texts for training, and draws the pictures of a task.") { prepare, info, DataDraw.Create() };
    }

    private static void Prepare(ParseResult request)
    {
        var overrides = request.GetRequiredValue(SharedOptions.Set);
        if (overrides.FirstOrDefault(set => !set.StartsWith("data.")) is { } other)
            throw new InputException($"--set {other}: expected a key under data, e.g. data.tokenizer.kind=byte");
        var recipe = ConfigFile.Parse(ConfigLibrary.Recipe(ConfigLibrary.DefaultRecipe), "data prepare", overrides);
        var folder = request.GetRequiredValue(Out);
        var progress = new ProgressLine(request.InvocationConfiguration.Error, "preparing");
        PreparedCorpus.Prepare(recipe.Data with { Path = request.GetRequiredValue(Text) }, folder, progress.Show);
        Describe(folder, request);
        request.InvocationConfiguration.Error.WriteLine($"train on it: {ShellCommand.Of(TrainVerb.Name, "--set", $"data.path={folder}")}");
    }

    private static void Describe(string folder, ParseResult request)
    {
        if (!PreparedCorpus.IsAt(folder))
            throw new InputException($"{folder}: {(Directory.Exists(folder) ? "holds no token files" : "no such folder")}, " +
                $"expected one that `{ShellCommand.Of("data", "prepare")}` wrote.");
        using var corpus = Corpus.Open(new DataConfig { Path = folder });
        var contents = new
        {
            Path = folder,
            Tokenizer = corpus.Tokenizer.GetType().Name.Replace("Tokenizer", "").ToLowerInvariant(),
            corpus.Tokenizer.VocabularySize,
            TrainingTokens = corpus.Training.Length,
            ValidationTokens = corpus.Validation.Length,
            corpus.ValidationBytes,
            corpus.Checksum,
        };
        var output = request.InvocationConfiguration.Output;
        if (request.GetValue(SharedOptions.Json))
        {
            ScriptJson.Write(output, contents);
            return;
        }
        output.WriteLine($"tokenizer         {contents.Tokenizer}, {contents.VocabularySize:n0} tokens");
        output.WriteLine($"to train on       {contents.TrainingTokens:n0} tokens");
        output.WriteLine($"to validate on    {contents.ValidationTokens:n0} tokens, {contents.ValidationBytes:n0} bytes of text");
        output.WriteLine($"checksum          {contents.Checksum}");
    }
}
