using System.Text.Json.Nodes;
using Transformer.Cli;
using Transformer.Runs;
using Transformer.Training;

namespace Transformer.Tests.EndToEnd;

/// <summary>Generated tasks from the command: train, resume, evaluate, generate.</summary>
public sealed class TaskRunTests : IDisposable
{
    private readonly Workplace here = new();

    public TaskRunTests() => here.Write("copy.yaml", """
        model: {width: 32, context_length: 16, layers: 2, dropout: 0.1, attention: {kind: softmax, heads: 2}}
        data: {task: {kind: copy, length: 5, symbols: 4, training_rows: 50, validation_rows: 40}}
        training:
          steps: 30
          batch_size: 8
          evaluate_every: 10
          evaluate_batches: 2
          checkpoint_every: 10
          optimizer: {kind: adamw, learning_rate: 1.0e-2}
          schedule: {kind: constant}
        """);

    public void Dispose() => here.Dispose();

    [Fact]
    public async Task A_task_is_trained_evaluated_and_continued()
    {
        var outcome = JsonNode.Parse((await Train("run", "model.dropout=0", "data.task.training_rows=null", "training.steps=250")).Output)!;
        Assert.Equal(250 * 8 * 10, outcome["tokens"]!.GetValue<int>());
        var accuracy = outcome["validation_accuracy"]!.GetValue<double>();
        Assert.True(accuracy > 0.99, $"accuracy {accuracy}");
        Assert.Equal(accuracy, here.Metrics("run")[^1]["validation_accuracy"]!.GetValue<double>());
        Assert.Equal(25, here.Metrics("run").Count(line => line.ContainsKey("validation_accuracy")));
        Assert.Matches(@"^--- step 250\n(\d \d \d \d \d) \| \1\n$", File.ReadAllText(here["run/samples.txt"]));

        var evaluated = JsonNode.Parse((await Workplace.Request("evaluate", here["run"], "--json")).Output)![0]!;
        Assert.Equal((accuracy, 40 * 5), (evaluated["accuracy"]!.GetValue<double>(), evaluated["tokens"]!.GetValue<int>()));
        Assert.Equal(outcome["validation_loss"]!.GetValue<double>(), evaluated["loss"]!.GetValue<double>(), 1e-6);
        Assert.Null(evaluated["bits_per_byte"]);
        Assert.Matches(
            @"bits/byte +accuracy +tokens\n.* - +(1\.0000|0\.99\d\d) +200\n$", (await Workplace.Request("evaluate", here["run"])).Output);

        var (code, text, error) = await Workplace.Request(
            "generate", here["run"], "--prompt", "3 1 2 0 1 |", "--greedy", "--max-tokens", "5");
        Assert.Equal((0, "3 1 2 0 1 | 3 1 2 0 1\n", ""), (code, text, error));
        (code, _, error) = await Workplace.Request("generate", here["run"], "--prompt", "3 1 9");
        Assert.Equal(CommandLine.Refused, code);
        Assert.Contains("the word '9' at position 4 is not among the 5 of this tokenizer, which are '0' to '|'", error);
    }

    [Fact]
    public async Task A_run_whose_data_has_changed_is_not_measured_on_it()
    {
        await here.Train("text", "--set", "training.steps=1");
        here.Write("corpus.txt", string.Concat(Enumerable.Range(0, 300).Select(i => $"other {i}\n")));
        var (code, _, error) = await Workplace.Request("evaluate", here["text"]);
        Assert.Equal(CommandLine.Refused, code);
        Assert.Contains("was trained with other tokens than its data gives now", error);
    }

    [Fact]
    public async Task A_run_that_was_interrupted_ends_as_the_uninterrupted_one()
    {
        await Train("whole");
        using (var interruption = new CancellationTokenSource())
        using (var trainer = Trainer.Start(ConfigFile.Load(here["copy.yaml"], []), here["halves"], happened =>
        {
            if (happened is TrainingEvent.Stepped { Metrics.Step: 13 }) interruption.Cancel();
        })) Assert.Throws<OperationCanceledException>(() => trainer.Run(interruption.Token));
        using (var trainer = Trainer.Resume(here["halves"])) trainer.Run(TestContext.Current.CancellationToken);

        foreach (var file in new[] { "checkpoints/step-30/model.safetensors", "checkpoints/step-30/training.safetensors", "samples.txt" })
            Assert.True(
                File.ReadAllBytes(here[$"whole/{file}"]).SequenceEqual(File.ReadAllBytes(here[$"halves/{file}"])), $"{file} differs");
        Assert.Equal(Losses("whole"), Losses("halves"));

        IEnumerable<string> Losses(string run) =>
            here.Metrics(run).Select(line => $"{line["train_loss"]} {line["validation_loss"]} {line["validation_accuracy"]}");
    }

    [Fact]
    public async Task A_run_ends_when_all_that_is_held_out_is_answered_well_enough()
    {
        var outcome = JsonNode.Parse((await Train(
            "run", "model.dropout=0", "training.steps=5000", "training.stop_at_accuracy=0.7", "data.task.training_rows=null")).Output)!;

        var steps = outcome["steps"]!.GetValue<int>();
        Assert.InRange(steps, 10, 400);
        Assert.InRange(outcome["validation_accuracy"]!.GetValue<double>(), 0.7, 1);
        Assert.True(File.Exists(here[$"run/checkpoints/step-{steps}/model.safetensors"]));
        Assert.True(
            outcome["validation_accuracy"]!.GetValue<double>() == here.Metrics("run")[^1]["validation_accuracy"]!.GetValue<double>(),
            "the last evaluation was an estimate");
        var (_, again, _) = await Workplace.Request("train", "--resume", here["run"], "--json");
        Assert.Equal(steps, JsonNode.Parse(again)!["steps"]!.GetValue<int>());
    }

    [Fact]
    public async Task A_run_does_not_go_on_with_another_task()
    {
        await Train("run", "training.steps=1");
        var config = File.ReadAllText(here["run/config.yaml"]);
        here.Write("run/config.yaml", config.Replace("length: 5", "length: 6"));
        Assert.NotEqual(config, File.ReadAllText(here["run/config.yaml"]));

        var (code, _, error) = await Workplace.Request("train", "--resume", here["run"]);

        Assert.Equal(CommandLine.Refused, code);
        Assert.Contains("the task copy is not what the run began with. Restore it, or start a new run.", error);
    }

    [Fact]
    public async Task What_does_not_fit_the_model_is_refused()
    {
        Assert.Contains(
            "data.task: training rows have 18 tokens, but model.context_length is 16; raise it to 18",
            (await Train("run", "data.task.length=9")).Error);
        Assert.Contains(
            "model.vocabulary_size: found 4, but the tokenizer has 5 tokens", (await Train("run", "model.vocabulary_size=4")).Error);
        Assert.False(Directory.Exists(here["run"]));
    }

    [Fact]
    public async Task A_run_is_measured_on_other_rows_of_its_task()
    {
        await Train("run", "model.dropout=0", "data.task.training_rows=null", "training.steps=250");
        double Accuracy(string output) => JsonNode.Parse(output)![0]!["accuracy"]!.GetValue<double>();
        var (_, own, _) = await Workplace.Request("evaluate", here["run"], "--json");
        var (code, shorter, error) = await Workplace.Request(
            "evaluate", here["run"], "--json", "--set", "data.task.length=4", "--set", "data.task.validation_rows=10");
        Assert.True(code == CommandLine.Done, error);
        Assert.Equal(10 * 4, JsonNode.Parse(shorter)![0]!["tokens"]!.GetValue<int>());
        Assert.True(Accuracy(own) > 0.99 && Accuracy(shorter) < Accuracy(own), "copying five symbols is not what copies four");

        foreach (var (set, message) in new[]
        {
            ("data.task.symbols=3", "was trained with other tokens than --set data.task.symbols=3 needs"),
            ("data.task.length=50", "model.context_length is 16"),
            ("model.layers=3", "--set model.layers=3: changes what a run is measured on, so it takes keys that begin with data."),
        })
        {
            (code, _, error) = await Workplace.Request("evaluate", here["run"], "--set", set);
            Assert.Equal(CommandLine.Refused, code);
            Assert.Contains(message, error);
        }
    }

    [Fact]
    public async Task A_dry_run_counts_the_tokens_of_the_rows()
    {
        var (code, output, error) = await Workplace.Request("train", here["copy.yaml"], "--dry-run", "--json");
        Assert.True(code == CommandLine.Done, error);
        Assert.Equal(30 * 8 * 10, JsonNode.Parse(output)!["tokens"]!.GetValue<int>());
    }

    // The recipe made small; with a wider initialization it leaves the plateau of choosing among a row's four values early: seeds 1 to 7
    // within 500 steps.
    [Fact]
    public async Task Multi_query_recall_is_learned()
    {
        var (code, output, error) = await Workplace.Request("train", "mqar", "--out", here["run"], "--json",
            "--set", "data.task={kind: mqar, length: 16, pairs: 4, vocabulary: 256, validation_rows: 200}",
            "--set", "model.norm={kind: rms}",
            "--set", "model.initialization={kind: gpt2, deviation: 0.1}",
            "--set", "training={steps: 1500, batch_size: 64, evaluate_every: 50, evaluate_batches: null, gradient_clip: null, " +
            "stop_at_accuracy: 0.9, optimizer: {kind: adamw, learning_rate: 3.0e-3}, schedule: {kind: constant}}");
        Assert.True(code == CommandLine.Done, error);
        var accuracy = JsonNode.Parse(output)!["validation_accuracy"]!.GetValue<double>();
        Assert.True(accuracy >= 0.9, $"accuracy {accuracy}\n{error}");
    }

    private Task<(int Code, string Output, string Error)> Train(string run, params string[] sets) =>
        Workplace.Request(["train", here["copy.yaml"], "--out", here[run], "--json", .. sets.SelectMany(set => new[] { "--set", set })]);
}
