using System.Diagnostics;
using System.Text.RegularExpressions;
using TorchSharp;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Distributed;
using Transformer.Layers.Mlp;
using Transformer.Model;
using Transformer.Model.Hierarchy;
using Transformer.Native;
using Transformer.Runs;
using Transformer.Tests.Architecture;
using Transformer.Tests.EndToEnd;
using Transformer.Tests.Native;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Tests.Training;

/// <summary>
/// How often a step waits for its device. Tensors of libtorch's meta device have a shape but no numbers: as on a GPU their memory cannot be
/// read from here, and reading a number throws.
/// </summary>
public sealed partial class DeviceStepTests
{
    private const int Tokens = 160;    // more than the rows that windows process at once
    private static readonly Device Elsewhere = MetaDevice.Device;

    private static readonly TrainingConfig Config = new()
    {
        Steps = 1,
        BatchSize = 2,
        ZLoss = 1e-4,
        GradientClip = 1,
        Optimizer = new AdamWConfig { LearningRate = 1e-2 },
    };

    public static TheoryData<string> Kinds => [.. Tiny.Models.Keys];

    [Theory, MemberData(nameof(Kinds))]
    public void The_first_number_that_a_step_asks_of_its_device_is_its_loss_with_the_norm_beside_it(string kind) => AsksFirst(kind, Config);

    [Theory, MemberData(nameof(Kinds))]
    public void So_it_is_in_16_bits_with_blocks_that_are_computed_twice(string kind) =>
        AsksFirst(kind, Config with { Precision = Precision.Fp16, ActivationCheckpointing = true });

    [Fact]
    public void A_loss_in_chunks_asks_for_no_more()
    {
        var vocabulary = (int)(LanguageModelLoss.LogitBytes / sizeof(float) / Tokens);
        Assert.True(LanguageModelLoss.RowsAtOnce(2 * Tokens, vocabulary) < 2 * Tokens, "the whole batch is one chunk");
        AsksFirst(Tiny.Config with { ContextLength = Tokens, VocabularySize = vocabulary }, Config);
    }

    [Theory]
    [InlineData(DistributedStrategy.DataParallel)]
    [InlineData(DistributedStrategy.Zero1)]
    [InlineData(DistributedStrategy.Zero2)]
    [InlineData(DistributedStrategy.Zero3)]
    public void Several_ranks_ask_for_no_more(DistributedStrategy strategy) =>
        AsksFirst(Tiny.Models["rope"] with { ContextLength = Tokens }, Config, new Alone(), strategy);

    [Fact]
    public void A_block_that_would_drop_other_numbers_the_second_time_is_refused_on_a_device()
    {
        using var here = new Workplace();
        var config = ConfigFile.Load(here["tiny.yaml"], [$"data.path={here["corpus.txt"]}", "training.activation_checkpointing=true"]);
        var failure = Assert.Throws<InputException>(() => Trainer.Start(config, here["run"], device: Elsewhere));
        Assert.StartsWith(
            "training.activation_checkpointing: a block that is computed twice on meta", failure.Message, StringComparison.Ordinal);

        config = config with
        {
            Training = config.Training with
            {
                ActivationCheckpointing = false,
                Distributed = new() { Strategy = DistributedStrategy.Zero3 }
            }
        };
        var agreed = Assert.Throws<CollectiveException>(() => Trainer.Start(config, here["run"], ranks: new Alone(), device: Elsewhere));
        Assert.StartsWith(
            "training.distributed.strategy: zero3: a block that is computed twice on meta", agreed.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(here["run"]));
    }

    [Fact]
    public void Layers_models_and_steps_ask_for_numbers_in_these_places_only()
    {
        Dictionary<string, int> places = new()
        {
            ["Layers/Attention/SegmentCache.cs"] = 1,     // how many slots hold memory, which is in CPU memory
            ["Layers/Attention/Window.cs"] = 1,           // on the CPU, and for unknown devices
            ["Layers/Mlp/MixtureOfExperts.cs"] = 1,       // once per layer and pass
            ["Layers/Vision/PictureState.cs"] = 2,        // in generation: whether there are pictures, and which was the last
            ["Layers/Vision/SeenPictures.cs"] = 2,        // how many pictures each row has: once a pass with pictures
            ["Model/HeadLoss.cs"] = 1,                    // on the CPU
            ["Model/Hierarchy/DynamicPooling.cs"] = 3,    // how many groups there are: once a pass, twice in generation
            ["Model/Hierarchy/HourglassState.cs"] = 1,    // its counts, which are in CPU memory
            ["Model/TorchSequenceState.cs"] = 1,          // for a saved state
            ["Model/Vision/AttentionToPicture.cs"] = 3,   // for a drawing
            ["Model/Vision/PictureVectors.cs"] = 2,       // whether rows have the placeholders of their pictures: once a pass with pictures
            ["Model/TransformerModel.cs"] = 2,            // the mean spans, of chosen tokens too, at evaluations
            ["Training/AdamW.cs"] = 1,                    // its count, which is in CPU memory
            ["Training/GradientScaler.cs"] = 1,           // for other models than ours
            ["Training/MemoryCheckpoint.cs"] = 1,         // when a run is resumed
            ["Training/ParameterSpace.cs"] = 1,           // the gradient norm by itself
            ["Training/TrainingStep.cs"] = 1,             // once per step
        };
        var found =
            from folder in (string[])["Layers", "Model", "Training"]
            from file in SourceTree.FilesIn(Path.Combine(SourceTree.Project("Transformer"), folder))
            let asked = Asking()
                .Count(string.Concat(File.ReadLines(file).Where(line => !line.TrimStart().StartsWith("//", StringComparison.Ordinal))))
            where asked > 0
            select KeyValuePair.Create(Path.GetRelativePath(SourceTree.Project("Transformer"), file).Replace('\\', '/'), asked);
        Assert.Equal(places, found.ToDictionary());
    }

    // What makes the thread wait for a device: copies from it, hidden in some operators, and copies to it other than by ToDeviceAsync.
    [GeneratedRegex(@"\.item<|\.cpu\(\)|\.to\(CPU|\.data<|\.ToHost\(\)|\bbincount\(|\bnonzero\(|masked_select\(|" +
        @"\btensor\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*device:")]
    private static partial Regex Asking();

    private static void AsksFirst(string kind, TrainingConfig training) =>
        AsksFirst(Tiny.Models[kind] with { ContextLength = Tokens }, training);

    private static void AsksFirst(
        ModelConfig config, TrainingConfig training, ICollective? ranks = null,
        DistributedStrategy strategy = DistributedStrategy.DataParallel)
    {
        using var model = new TransformerModel(config, Elsewhere) { Precision = training.Precision };
        using var space = new ParameterSpace(model, ranks: ranks, strategy: strategy);
        using var optimizer = Optimizer.FromConfig(training.Optimizer, space);
        model.train();
        var step = new TrainingStep(model, space, optimizer, training);
        var failure = Assert.ThrowsAny<Exception>(() => step.Run(1, [Draw(ragged: false), Draw(ragged: true)]));

        // Experts process groups of rows whose lengths the CPU must know to queue the work, and layers groups whose number it must know.
        var expected = config.Mlp is MixtureMlpConfig ? typeof(MixtureOfExperts)
            : config.Layers.Hourglasses.Any(found => found.Hourglass.Boundaries is not null) ? typeof(DynamicPooling)
            : typeof(TrainingStep);
        var frames = new StackTrace(failure).GetFrames().Select(frame => frame.GetMethod()!.DeclaringType!)
            .SkipWhile(type => type != typeof(DeviceCopy));
        Assert.True(frames.FirstOrDefault(type => type != typeof(DeviceCopy)) == expected, failure.ToString());
        Assert.Contains(frames, type => type == typeof(TrainingStep));
    }

    private static Batch Draw(bool ragged)
    {
        var random = new Random(1);
        long[] ids = [.. Enumerable.Range(0, 2 * Tokens).Select(_ => (long)random.Next(Tiny.Config.VocabularySize!.Value))];
        return new Batch(ids, [.. ids.Select((id, place) => ragged && place % 3 == 0 ? Batch.IgnoredTarget : id)], Rows: 2, Tokens);
    }

    // The first of two ranks; the other one always sends the same values and adds zero.
    private sealed class Alone : ICollective
    {
        public int Rank => 0;

        public int Ranks => 2;

        public string CurrentOperation { get; set; } = "";

        public CollectiveWork ReduceScatter(Tensor buffer) => new(Task.CompletedTask);

        public CollectiveWork AllGather(Tensor buffer)
        {
            if (buffer.device_type == DeviceType.CPU) buffer[1].copy_(buffer[0]);
            return new(Task.CompletedTask);
        }

        public void Broadcast(Tensor tensor, int root)
        {
        }

        public void Abort(int code) => throw new NotSupportedException();

        public void Dispose()
        {
        }
    }
}
