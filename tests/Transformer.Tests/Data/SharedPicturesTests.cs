using Transformer.Comparison;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Data.Images;
using Transformer.Data.Tasks;
using Transformer.Evaluation;
using Transformer.Model;
using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Tests.Data;

/// <summary>Rows about one picture, which a model with pictures as a prefix reads as documents of one row.</summary>
public sealed class SharedPicturesTests
{
    private const long No = Batch.IgnoredTarget, Image = Batch.ImagePlaceholder;

    // Three rows about two pictures, one that predicts at its picture, one without and one with two.
    private static readonly Batch Mixed = new(
        [Image, 1, 2, Image, 3, 4, Image, 5, 6, Image, 7, 0, 8, 9, 10, Image, Image, 11],
        [No, No, 20, No, No, 21, No, 22, 23, 24, 25, No, No, No, 26, No, No, 27], Rows: 6, Columns: 3)
    {
        Pictures = new([Picture(1), Picture(2)], [1, 0, 1, 0, 1, 0]),
    };

    [Fact]
    public void Rows_that_begin_with_one_picture_become_documents_of_one_row()
    {
        var shared = Mixed.WithPicturesShared();
        Assert.Equal((5, 5), (shared.Rows, shared.Columns));
        Assert.Equal<long>(
            [Image, 1, 2, 5, 6, Image, 3, 4, 0, 0, Image, 7, 0, 0, 0, 8, 9, 10, 0, 0, Image, Image, 11, 0, 0], shared.Inputs);
        Assert.Equal<long>(
            [No, No, 20, 22, 23, No, No, 21, No, No, 24, 25, No, No, No, No, No, 26, No, No, No, No, 27, No, No], shared.Targets);
        Assert.Equal([.. Enumerable.Repeat(new[] { 0, 1, 1, 2, 2 }, 5).SelectMany(row => row)], shared.Documents!);
        Assert.Equal([1, 0, 0, 1, 0], shared.Pictures!.Of);
        Assert.Equal(Mixed.Predictions, shared.Predictions);
    }

    [Fact]
    public void Each_place_of_a_picture_is_what_all_documents_read()
    {
        var read = Mixed.WithPicturesShared().ReadBy(new PrefixVisionConfig { Image = new() { Size = 8 }, Patch = 4 });
        Assert.Equal(11, read.Columns);
        Assert.Equal([0, 0, 0, 0, 1, 1, 2, 2], read.Documents![..8]);
        Assert.Equal([0, 1, 1, 2, 2], read.Documents[33..38]);
        Assert.Equal([0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2], read.Documents[44..55]);
        Assert.Equal([.. Enumerable.Repeat(int.MaxValue, 6)], read.Documents[38..44]);
    }

    [Fact]
    public void Rows_about_pictures_of_their_own_stay_as_they_are()
    {
        var batch = Mixed.Share(1, 3);
        Assert.Same(batch, batch.WithPicturesShared());
    }

    [Fact]
    public void A_rank_for_which_no_row_is_left_reads_one_without_targets()
    {
        var shares = Enumerable.Range(0, 7).Select(rank => Mixed.WithPicturesShared().Share(rank, 7)).ToList();
        Assert.All(shares, share => Assert.Equal((1, 5), (share.Rows, share.Documents!.Length)));
        Assert.Equal(Mixed.Predictions, shares.Sum(share => share.Predictions));
        Assert.Equal(2, shares.Count(share => share.Predictions == 0));
    }

    [Fact]
    public void Loss_and_gradients_are_those_of_the_rows_one_by_one()
    {
        using var data = new TaskDataset(new SortOfClevrTaskConfig { QuestionsAtOnce = 10 });
        var model = ModelConfig(data, new PrefixVisionConfig());
        using var batches = data.Train(Run(model, batchSize: 40));
        using var rows = data.Train(Run(model with { Vision = null }, batchSize: 40));
        var (shared, alone) = (batches.Next(), rows.Next().ReadBy(model.Vision!));
        Assert.True(shared.Rows <= 4 && alone.Rows == 40);
        Assert.Equal(40, shared.Predictions);
        using var scope = NewDisposeScope();
        using var network = new TransformerModel(model);
        var (loss, expected) = Gradients(alone);
        var (sharedLoss, actual) = Gradients(shared);
        Assert.Equal(loss, sharedLoss, 1e-5);
        foreach (var (name, gradient) in expected)
            Near.Equal(gradient, actual[name], 1e-5 * (1 + gradient.abs().max().item<float>()), name);

        (double Loss, Dictionary<string, Tensor> OfWeights) Gradients(Batch batch)
        {
            var (inputs, targets) = BatchTensors.On(batch, CPU);
            var pictures = BatchTensors.Pictures(batch, network);
            var hidden = network.HiddenAndPenalty(inputs, pictures: pictures, documents: batch.Documents).Hidden;
            (hidden, targets) = BatchTensors.Labelled(hidden, targets, batch);
            var loss = network.Loss(hidden, targets).CrossEntropy;
            loss.backward();
            var gradients = network.Weights.Where(weight => weight.Value.grad is not null)
                .ToDictionary(weight => weight.Name, weight => weight.Value.grad!.clone());
            foreach (var (_, weight) in network.Weights) weight.grad = null;
            return (loss.item<float>(), gradients);
        }
    }

    [Fact]
    public void What_a_run_costs_counts_shared_pictures_once()
    {
        using var data = new TaskDataset(new SortOfClevrTaskConfig { QuestionsAtOnce = 10 });
        var run = Run(ModelConfig(data, new PrefixVisionConfig()), batchSize: 40);
        using var batches = data.Train(run);
        var (batch, cost) = (batches.Next(), DesignCost.Of(run, data));
        Assert.Equal((batch.Rows, batch.Columns), (cost.Rows, cost.Columns));
        Assert.Equal((double)run.Training.Steps * batch.Inputs.Length, cost.TokensOf(run));
        var alone = DesignCost.Of(run with { Model = run.Model with { Position = new AlibiPositionConfig() } }, data);
        Assert.Equal((40, 3 + 8), (alone.Rows, alone.Columns));
    }

    [Fact]
    public void A_model_that_cannot_keep_documents_apart_reads_row_by_row()
    {
        using var data = new TaskDataset(new SortOfClevrTaskConfig { QuestionsAtOnce = 10 });
        var model = ModelConfig(data, new PrefixVisionConfig());
        Assert.NotNull(First(model).Documents);
        Assert.Null(First(model with { Vision = new GatedCrossAttentionConfig { Image = model.Vision!.Image, Patch = 25 } }).Documents);
        Assert.Null(First(model with { Position = new AlibiPositionConfig() }).Documents);
        Assert.Null(First(model with
        {
            Attention = new SoftmaxAttentionConfig { Heads = 4, Window = new SlidingWindowConfig { Size = 4 } },
        }).Documents);
        Assert.Null(First(model with { Position = new NoPositionConfig(), Attention = Tiny.Linear["gated_delta"] }).Documents);

        Batch First(ModelConfig config)
        {
            using var batches = data.Train(Run(config, batchSize: 20));
            return batches.Next();
        }
    }

    private static ModelConfig ModelConfig(TaskDataset data, PrefixVisionConfig vision) => Tiny.Config with
    {
        VocabularySize = data.Tokenizer.VocabularySize,
        Position = new LearnedPositionConfig(),
        Vision = vision with { Image = new() { Size = 75 }, Patch = 25, Encoder = new() { Layers = 0 } },
    };

    private static RunConfig Run(ModelConfig model, int batchSize)
    {
        var run = ConfigFile.Load("copy", []);
        return run with { Model = model, Training = run.Training with { BatchSize = batchSize } };
    }

    private static Picture Picture(byte level) => new(8, 8, [.. Enumerable.Repeat(level, 3 * 64)]);
}
