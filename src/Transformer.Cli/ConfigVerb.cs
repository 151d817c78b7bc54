using System.CommandLine;
using Spectre.Console;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Diagrams;
using Transformer.Distributed;
using Transformer.Model;
using Transformer.Native;
using Transformer.Runs;
using Transformer.Training;

namespace Transformer.Cli;

/// <summary><c>config</c>: a run once everything is resolved, and the schema of its file.</summary>
internal static class ConfigVerb
{
    private static readonly Argument<string> Source = new("RECIPE|FILE")
    {
        Description = "A recipe by name, or a YAML or JSON file.",
        DefaultValueFactory = _ => ConfigLibrary.DefaultRecipe,
    };

    private static readonly Option<int?> Ranks = new Option<int?>("--ranks")
    {
        Description = "Print the bytes that each of N ranks keeps, by strategy.",
        HelpName = "N"
    }.Whole(1, 1_000_000);

    private static readonly Option<string?> Diagram = new("--diagram")
    {
        Description = "Draw the model and its blocks as an SVG picture.",
        HelpName = "FILE",
    };

    private static readonly Option<string?> Mask = new("--mask")
    {
        Description = "Draw which keys each query of softmax attention sees, as an SVG picture.",
        HelpName = "FILE",
    };

    private static readonly Option<int?> MaskTokens = new Option<int?>("--mask-tokens")
    {
        Description = $"How many tokens --mask shows, {FewestTokens} to {MostTokens}; default: {DefaultTokens}.",
        HelpName = "N",
    }.Whole(FewestTokens, MostTokens);

    private const int FewestTokens = 2, MostTokens = 64, DefaultTokens = 16;

    /// <summary>The verb with its subcommands.</summary>
    public static Command Create()
    {
        var show = new Command("show", "Prints the resolved configuration, and the model's size and cost; draws the model.")
        {
            Source,
            SharedOptions.Set,
            Ranks,
            Diagram,
            Mask,
            MaskTokens,
            SharedOptions.Json,
        };
        show.SetAction(Show);
        var schema = new Command("schema", "Prints the JSON Schema by which editors complete and check a configuration.");
        schema.SetAction(
            request => request.InvocationConfiguration.Output.WriteLine(ConfigSchema.Create().ToJsonString(ConfigJson.Options)));
        return new Command("config", "Shows a configuration, or the schema of all of them.") { show, schema };
    }

    private static void Show(ParseResult request)
    {
        var run = TrainingSource.Load(request.GetRequiredValue(Source), request.GetRequiredValue(SharedOptions.Set), "config", "show");
        var size = Size(run);
        var ranks = request.GetValue(Ranks);
        Draw(request, run.Model, (int?)size?.Vocabulary);
        var output = request.InvocationConfiguration.Output;
        if (request.GetValue(SharedOptions.Json))
            ScriptJson.Write(output, new
            {
                Config = ConfigJson.ToJson(run),
                Size = size is null ? null : Summary(run, size),
                Ranks = ranks is null || size is null ? null : Strategies(run, size, ranks.Value)
            });
        else
            output.Write(ConfigFile.ToYaml(run));
        WriteSize(request.InvocationConfiguration.Error, run, size);
        if (ranks is not null && size is not null) WriteStrategies(request.InvocationConfiguration.Error, run, size, ranks.Value);
    }

    // Before anything is printed: a picture that cannot be written is an error of the whole request.
    private static void Draw(ParseResult request, ModelConfig model, int? vocabularySize)
    {
        var tokens = request.GetValue(MaskTokens);
        if (tokens is not null && request.GetValue(Mask) is null)
            throw new InputException("--mask-tokens: only --mask shows tokens; add --mask FILE.");
        if (request.GetValue(Diagram) is { } diagram)
            ModelDiagram.Write(diagram, model, Path.GetFileNameWithoutExtension(request.GetRequiredValue(Source)), vocabularySize);
        if (request.GetValue(Mask) is not { } mask) return;
        LibTorch.Load();    // the masks are those that the layers compute
        AttentionDiagram.Write(mask, model, tokens ?? DefaultTokens);
    }

    // An open vocabulary size comes from the data's tokenizer; where the data cannot be read there is no size to show.
    private static ModelSize? Size(RunConfig run)
    {
        if (run.Model.VocabularySize is not null) return new ModelSize(run.Model);
        try
        {
            using var data = Dataset.Open(run.Data);
            return new ModelSize(run.Model, data.Tokenizer.VocabularySize);
        }
        catch (InputException)
        {
            return null;
        }
    }

    private static TrainingMemory Memory(RunConfig run, ModelSize size) =>
        TrainingMemory.Of(size, run.Training, run.Training.BatchSize, RowTokens(run));

    // Of a text's row; rows of a task that are read in segments are of any length, and counted as one.
    private static int RowTokens(RunConfig run) => run.Data.Task is null ? run.RowTokens : run.Model.ContextLength;

    private static object Summary(RunConfig run, ModelSize size) => new
    {
        size.Parts,
        size.Parameters,
        size.MatrixParameters,
        FlopsPerToken = size.FlopsPerToken(run.Model.ContextLength),
        size.FlopsPerPicture,
        size.ParameterBytes,
        size.GradientBytes,
        MomentBytes = TrainingMemory.MomentBytes(size, run.Training.Optimizer),
        ActivationBytes = Memory(run, size).Activations,
        WorkspaceBytes = Memory(run, size).Workspace,
        TrainingBytes = Memory(run, size).Bytes,
        StateBytes = size.StateBytes(run.Model.ContextLength),
    };

    // Only the strategies that the run supports.
    private static IEnumerable<RankBytes> Strategies(RunConfig run, ModelSize size, int ranks) => Enum.GetValues<DistributedStrategy>()
        .Where(strategy => !(run.Training with { Distributed = run.Training.Distributed with { Strategy = strategy } }).Problems().Any())
        .Where(strategy => strategy != DistributedStrategy.TensorParallel || !TensorParallelShare.Problems(run.Model, ranks).Any())
        .Select(strategy => new RankBytes(strategy, RankMemory.Bytes(size, run.Training, strategy, ranks)));

    private static void WriteStrategies(TextWriter error, RunConfig run, ModelSize size, int ranks)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumn($"each of {ranks} ranks keeps")
            .AddColumn(new TableColumn("").RightAligned());
        foreach (var line in Strategies(run, size, ranks))
            table.AddRow(ConfigJson.ToJson(line)["strategy"]!.GetValue<string>(), Gigabytes(line.Bytes));
        AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(error) }).Write(table);
        foreach (var problem in TensorParallelShare.Problems(run.Model, ranks))
            error.WriteLine($"tensor_parallel is not among them: {problem}");

        static string Gigabytes(long bytes) => bytes < 1e9 ? $"{bytes / 1e6:0.00} MB" : $"{bytes / 1e9:0.00} GB";
    }

    private sealed record RankBytes(DistributedStrategy Strategy, long Bytes);

    private static void WriteSize(TextWriter error, RunConfig run, ModelSize? size)
    {
        if (size is null)
        {
            error.WriteLine("The size depends on the tokenizer's vocabulary, and the corpus cannot be read; add e.g. " +
                "--set model.vocabulary_size=65 to see it.");
            return;
        }
        var (model, memory) = (run.Model, Memory(run, size));
        var table = new Table().Border(TableBorder.Simple).AddColumn("").AddColumn(new TableColumn("").RightAligned()).HideHeaders();
        foreach (var part in size.Parts) table.AddRow($"{part.Name} parameters", $"{part.Parameters:N0}");
        table.AddRow("parameters", $"{size.Parameters:N0}").AddEmptyRow()
            .AddRow($"training, a token of {model.ContextLength}", Numbers.Flops(size.FlopsPerToken(model.ContextLength)))
            .AddRow("training, a picture", Numbers.Flops(size.FlopsPerPicture))
            .AddRow($"generation, a token after {model.ContextLength}", Numbers.Flops(size.ForwardFlopsPerToken(model.ContextLength)))
            .AddEmptyRow()
            .AddRow("parameters", Numbers.Bytes(memory.Parameters))
            .AddRow("gradients", Numbers.Bytes(memory.Gradients))
            .AddRow("the optimizer's moments", Numbers.Bytes(memory.Moments))
            .AddRow("the average of the weights", Numbers.Bytes(memory.Average))
            .AddRow($"activations of {run.Training.BatchSize} x {RowTokens(run)} tokens, about", Numbers.Bytes(memory.Activations))
            .AddRow("logits and gradients in flight, about", Numbers.Bytes(memory.Workspace))
            .AddRow("peak of training, about", Numbers.Bytes(memory.Bytes)).AddEmptyRow()
            .AddRow($"generation's state after {model.ContextLength} tokens", Numbers.Bytes(size.StateBytes(model.ContextLength)));
        AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(error) }).Write(table);
    }
}
