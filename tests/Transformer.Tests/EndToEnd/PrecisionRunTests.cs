using System.Text.Json.Nodes;
using Transformer.Checkpoints;
using Transformer.Cli;
using Transformer.Formats;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Tests.EndToEnd;

public sealed class PrecisionRunTests : IDisposable
{
    private readonly Workplace here = new();

    public void Dispose() => here.Dispose();

    [Fact]
    public void An_fp16_run_that_was_interrupted_ends_with_the_weights_and_the_scale_of_one_that_was_not()
    {
        using (var whole = Trainer.Start(Run(), here["whole"])) whole.Run(TestContext.Current.CancellationToken);

        using (var interruption = new CancellationTokenSource())
        using (var first = Trainer.Start(Run(), here["parts"], happened =>
        {
            if (happened is TrainingEvent.Stepped { Metrics.Step: 3 }) interruption.Cancel();
        }))
            Assert.ThrowsAny<OperationCanceledException>(() => first.Run(interruption.Token));
        using (var second = Trainer.Resume(here["parts"])) second.Run(TestContext.Current.CancellationToken);

        using var expected = CheckpointFolder.Open(here["whole"]);
        using var found = CheckpointFolder.Open(here["parts"]);
        foreach (var name in expected.Names)
        {
            Assert.Equal(ScalarType.Float32, expected.Read(name).dtype);
            Near.Equal(expected.Read(name), found.Read(name), 0, name);
        }
        Assert.Equal((65536, 6), Scaler(expected));
        Assert.Equal((65536, 6), Scaler(found));
        Assert.All(here.Metrics("parts"), line => Assert.Equal(65536, line["gradient_scale"]!.GetValue<double>()));

        RunConfig Run() => ConfigFile.Load(here["tiny.yaml"],
            [$"data.path={here["corpus.txt"]}", "training.steps=6", "training.evaluate_every=6", "training.sample_tokens=0",
                "training.precision=fp16"]);
        static (double, int) Scaler(CheckpointFolder checkpoint) =>
            (checkpoint.TrainingState()["gradient_scale"]!.GetValue<double>(), checkpoint.TrainingState()["good_steps"]!.GetValue<int>());
    }

    [Fact]
    public async Task A_run_whose_scale_is_too_high_skips_steps_says_so_and_goes_on()
    {
        await here.Train("run", "--set", "training.precision=fp16", "--set", "training.steps=4", "--set", "training.ema_decay=0.9");
        var state = here["run/checkpoints/step-4/training.json"];
        var progress = JsonNode.Parse(File.ReadAllText(state))!.AsObject();
        (progress["step"], progress["gradient_scale"]) = (0, Math.Pow(2, 40));
        File.WriteAllText(state, progress.ToJsonString());

        var (code, _, error) = await Workplace.Request("train", "--resume", here["run"]);
        Assert.True(code == CommandLine.Done, error);
        Assert.Contains("step      1  overflowed in fp16 and was skipped; the gradient scale is now 549,755,813,888\n", error);
        Assert.Matches(@"training loss of the last \d+ steps \d", error);    // lines without a gradient norm are read again
        var lines = here.Metrics("run");
        Assert.Equal([39, 38, 37, 36], lines.Select(line => Math.Log2(line["gradient_scale"]!.GetValue<double>())));
        Assert.All(lines, line => Assert.False(line.ContainsKey("gradient_norm")));
        Assert.All(lines, line => Assert.InRange(line["train_loss"]!.GetValue<double>(), 0.5, 5));    // the loss itself did not overflow
    }

    [Fact]
    public async Task Numbers_too_large_for_fp16_end_with_1_and_say_so()
    {
        var (code, output, error) = await here.Train(
            "run", "--set", "training.precision=fp16", "--set", "training.optimizer.learning_rate=1e6", "--set", "training.steps=30",
            "--set", "training.evaluate_every=30");

        Assert.Equal((CommandLine.Failed, ""), (code, output));
        Assert.Matches(
            @"step \d+: steps overflow fp16 one after the other, even with a gradient scale of 1: " +
            @"the model's numbers are too large\. ",
            error.TrimEnd().Split('\n')[^1]);
        Assert.Contains(here.Metrics("run"), line => !line.ContainsKey("train_loss"));
    }

    [Fact]
    public async Task A_bf16_run_is_nearly_as_good_when_it_is_evaluated_in_fp32()
    {
        var (code, output, error) = await here.Train("run", "--set", "training.precision=bf16", "--json");
        Assert.True(code == CommandLine.Done, error);
        Assert.Contains("precision: bf16", File.ReadAllText(here["run/config.yaml"]));
        Assert.DoesNotContain(here.Metrics("run"), line => line.ContainsKey("gradient_scale"));

        var trained = JsonNode.Parse(output)!["validation_loss"]!.GetValue<double>();
        using var run = Transformer.Inference.Torch.LoadedModel.Open(here["run"]);
        using var data = Transformer.Data.Dataset.Open(RunFolderConfig().Data);
        var exact = Transformer.Evaluation.ModelEvaluation.Measure(
            run.Model, data.HeldOut(2, 16, null), TestContext.Current.CancellationToken).Loss;
        Near.Equal(exact, trained, 0.02, "validation loss");
        Assert.NotEqual(exact, trained);

        RunConfig RunFolderConfig() => ConfigFile.Load(here["run/config.yaml"], []);
    }

    [Theory]
    [InlineData("bf16")]
    [InlineData("fp16")]
    public async Task A_run_is_evaluated_in_its_own_precision_and_has_the_loss_of_its_last_validation(string precision)
    {
        var (_, output, _) = await here.Train("run", "--set", $"training.precision={precision}", "--json");
        var trained = JsonNode.Parse(output)!["validation_loss"]!.GetValue<double>();

        foreach (var path in (string[])["run", "run/checkpoints/step-40"])
        {
            (var code, output, var error) = await Workplace.Request("evaluate", here[path], "--json");
            Assert.True(code == CommandLine.Done, error);
            Assert.Contains($"measured in {precision}, as it was trained", error);
            var line = JsonNode.Parse(output)![0]!;
            Assert.Equal((precision, trained), (line["precision"]!.GetValue<string>(), line["loss"]!.GetValue<double>()));
        }

        (_, output, var silent) = await Workplace.Request("evaluate", here["run"], "--precision", "fp32", "--json");
        Assert.Equal("", silent);
        Assert.NotEqual(trained, JsonNode.Parse(output)![0]!["loss"]!.GetValue<double>());
    }

    [Fact]
    public async Task Tf32_on_the_cpu_is_refused_and_leaves_nothing()
    {
        var (code, output, error) = await here.Train("run", "--set", "training.precision=tf32");
        Assert.Equal((CommandLine.Refused, ""), (code, output));
        Assert.Contains(
            "training.precision: found tf32, which only NVIDIA's GPUs compute in, but the model is on cpu. Take fp32 or bf16.", error);
        Assert.False(Directory.Exists(here["run"]));
    }

    [Fact]
    public async Task A_precision_of_another_name_is_refused()
    {
        var (code, _, error) = await here.Train("run", "--set", "training.precision=fp8");
        Assert.Equal(CommandLine.Refused, code);
        Assert.Contains("training.precision: found fp8, expected one of fp32, bf16, fp16, tf32", error);
    }
}
