using Transformer.Generation;
using Transformer.Inference.Torch;
using Transformer.Runs;
using Transformer.Training;

namespace Transformer.Tests.EndToEnd;

/// <summary>
/// The contract of every kind of model: it trains, is saved, resumes after an interruption, is loaded and generates.
/// </summary>
public sealed class EveryKindTests : IDisposable
{
    private readonly Workplace here = new();

    public static TheoryData<string> Kinds => [.. Tiny.Models.Keys];

    public void Dispose() => here.Dispose();

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_run_that_was_interrupted_ends_with_the_weights_of_one_that_was_not_and_writes(string kind)
    {
        using (var whole = Trainer.Start(Run(kind), here["whole"])) whole.Run(TestContext.Current.CancellationToken);

        using (var interruption = new CancellationTokenSource())
        using (var first = Trainer.Start(Run(kind), here["parts"], happened =>
        {
            if (happened is TrainingEvent.Stepped { Metrics.Step: 3 }) interruption.Cancel();
        }))
            Assert.ThrowsAny<OperationCanceledException>(() => first.Run(interruption.Token));
        using (var second = Trainer.Resume(here["parts"])) second.Run(TestContext.Current.CancellationToken);

        using var expected = LoadedModel.Open(here["whole"]);
        using var found = LoadedModel.Open(here["parts"]);
        foreach (var ((name, value), (_, again)) in expected.Model.Weights.Zip(found.Model.Weights)) Near.Equal(value, again, 0, name);

        var prompt = found.Tokenizer.Encode(Tiny.Seeing.ContainsKey(kind) ? "nearest red" : "line 1");
        var written = found.Model.Generate(
            [prompt], SamplingOptions.Greedy with { MaxTokens = 5 }, found.Tokenizer, cancellation: TestContext.Current.CancellationToken);
        Assert.Equal(5, written[0].Tokens.Count);
        Assert.Equal(Generation.GenerationGoldens.WithoutCache(found.Model, prompt, count: 5), written[0].Tokens);
    }

    private RunConfig Run(string kind)
    {
        var run = ConfigFile.Load(
            here["tiny.yaml"],
            [$"data.path={here["corpus.txt"]}", "training.steps=6", "training.evaluate_every=6", "training.sample_tokens=0"]);
        var model = Tiny.Models[kind] with { VocabularySize = null };
        if (model.Vision is not null)
        {
            var task = new SortOfClevrTaskConfig { Pictures = 40, ValidationPictures = 2 };
            return run with { Model = model, Data = new DataConfig { Task = task } };
        }
        return run with
        {
            Model = model,
            Data = model.HasSegments ? run.Data with { Sampling = Sampling.Contiguous } : run.Data,
            Training = model.HasSegments ? run.Training with { BackpropagationSegments = 2 } : run.Training,
        };
    }
}
