using Transformer.Configuration;
using Transformer.Data;
using Transformer.Evaluation;
using Transformer.Model;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Tests.Evaluation;

// B batch · T tokens · V vocabulary

/// <summary>Logits are computed only where there is a target; that changes nothing but the time.</summary>
public sealed class LabelledTokensTests : IDisposable
{
    private const int Rows = 3, Columns = 8;
    private readonly TransformerModel model;
    private readonly Batch all, few;

    public LabelledTokensTests()
    {
        manual_seed(1);
        model = new TransformerModel(Tiny.Config);
        var random = new Random(1);
        long[] Ids() => [.. Enumerable.Range(0, Rows * Columns).Select(_ => (long)random.Next(Tiny.Config.VocabularySize!.Value))];
        all = new Batch(Ids(), Ids(), Rows, Columns);
        few = all with { Targets = [.. all.Targets.Select((target, place) => place % 5 == 2 ? target : Batch.IgnoredTarget)] };
    }

    public void Dispose() => model.Dispose();

    [Theory]
    [InlineData(0)]
    [InlineData(0.1)]
    public void Loss_and_gradients_of_a_step_are_those_of_all_logits_with_ignored_targets(double zLoss)
    {
        var (inputs, targets) = BatchTensors.On(few, CPU);
        var logits = model.call(inputs, null);                                                              // [B, T, V]
        var loss = LanguageModelLoss.CrossEntropy(logits, targets);
        (loss + zLoss * LanguageModelLoss.SquaredPartition(logits, targets)).backward();
        var expected = model.Weights.ToDictionary(weight => weight.Name, weight => weight.Value.grad!.clone());

        using var space = new ParameterSpace(model, []);
        using var optimizer = new GradientTaker(space);
        var training = new TrainingConfig
        {
            Steps = 1,
            BatchSize = Rows,
            Optimizer = new AdamWConfig { LearningRate = 1 },
            ZLoss = zLoss,
            GradientClip = null
        };
        var result = new TrainingStep(model, space, optimizer, training).Run(1, [few]);

        Near.Equal(loss.item<float>(), result.Loss, 1e-6, "loss");
        foreach (var (name, gradient) in expected) Near.Equal(gradient, optimizer.Taken[name], 1e-6, name);
    }

    [Fact]
    public void Where_every_token_has_a_target_nothing_is_gathered()
    {
        var (inputs, targets) = BatchTensors.On(all, CPU);
        var hidden = model.Hidden(inputs);
        var kept = BatchTensors.Labelled(hidden, targets, all);
        Assert.Same(hidden, kept.Hidden);
        Assert.Same(targets, kept.Targets);
    }

    [Fact]
    public void Accuracy_is_what_counting_by_hand_gives()
    {
        var (inputs, _) = BatchTensors.On(few, CPU);
        using var logits = model.call(inputs, null);
        // Some targets are made correct: those of the first row.
        var targets = few.Targets.ToArray();
        for (var place = 0; place < Columns; place++)
            if (targets[place] != Batch.IgnoredTarget) targets[place] = Greedy(0, place);
        var batch = few with { Targets = targets };
        var (right, counted) = (0, 0);
        for (var row = 0; row < Rows; row++)
            for (var place = 0; place < Columns; place++)
            {
                if (targets[row * Columns + place] == Batch.IgnoredTarget) continue;
                counted++;
                if (targets[row * Columns + place] == Greedy(row, place)) right++;
            }

        var result = ModelEvaluation.Measure(model, [batch, batch], TestContext.Current.CancellationToken);

        Assert.Equal((2 * counted, 2 * right), (result.Tokens, result.Correct));
        Assert.InRange(right, 1, counted - 1);
        Assert.Equal((double)right / counted, result.Accuracy);

        int Greedy(int row, int place)
        {
            var best = 0;
            for (var id = 1; id < Tiny.Config.VocabularySize; id++)
                if (logits[row, place, id].item<float>() > logits[row, place, best].item<float>()) best = id;
            return best;
        }
    }

    [Fact]
    public void A_vocabulary_whose_logits_come_in_chunks_is_measured_as_a_whole()
    {
        manual_seed(1);
        using var large = new TransformerModel(
            Tiny.Config with { Width = 4, VocabularySize = 1_000_000, Attention = new SoftmaxAttentionConfig { Heads = 1 } });
        var (inputs, targets) = BatchTensors.On(all, CPU);
        Assert.True(LanguageModelLoss.RowsAtOnce(targets.numel(), 1_000_000) < targets.numel());
        using var _ = no_grad();
        using var logits = large.call(inputs, null);
        var result = ModelEvaluation.Measure(large, [all], TestContext.Current.CancellationToken);
        Near.Equal(LanguageModelLoss.CrossEntropy(logits, targets).item<float>(), result.Loss, 1e-5);
        Assert.Equal((logits.argmax(-1) == targets).sum().item<long>(), result.Correct);
    }

    [Fact]
    public void The_measured_loss_is_that_of_all_logits_with_ignored_targets()
    {
        var (inputs, targets) = BatchTensors.On(few, CPU);
        using var logits = model.call(inputs, null);
        Near.Equal(
            LanguageModelLoss.CrossEntropy(logits, targets).item<float>(),
            ModelEvaluation.Measure(model, [few], TestContext.Current.CancellationToken).Loss, 1e-6);
    }

    // Keeps the gradients of a step and changes nothing.
    private sealed class GradientTaker(ParameterSpace space) : Optimizer
    {
        public Dictionary<string, Tensor> Taken { get; } = [];

        public override IEnumerable<(string Name, Tensor Value)> State => [];

        public override void Step(double schedule, Tensor? gradientScale = null)
        {
            foreach (var parameter in space.Parameters) Taken[parameter.Name] = parameter.Gradient!.clone().DetachFromDisposeScope();
        }

        public override void Dispose()
        {
            foreach (var gradient in Taken.Values) gradient.Dispose();
        }
    }
}
