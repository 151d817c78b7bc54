using System.Diagnostics;
using TorchSharp;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Layers.Mlp;
using Transformer.Model;
using Transformer.Native;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Tests.Training;

/// <summary>
/// How often a step waits for its device. Tensors of libtorch's meta device have a shape and no numbers: like those of a graphics processor they cannot be touched from
/// here, and whoever asks for a number gets an exception.
/// </summary>
public sealed class DeviceStepTests
{
    private const int Tokens = 160;    // more than the rows that windows take at once
    private static readonly Device Elsewhere = Tests.Native.MetaDevice.Device;

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

    private static void AsksFirst(string kind, TrainingConfig training)
    {
        var config = Tiny.Models[kind] with { ContextLength = Tokens };
        using var model = new TransformerModel(config, Elsewhere) { Precision = training.Precision };
        using var space = new ParameterSpace(model);
        using var optimizer = Optimizer.FromConfig(training.Optimizer, space);
        model.train();
        var step = new TrainingStep(model, space, optimizer, training);
        var failure = Assert.ThrowsAny<Exception>(() => step.Run(1, [Draw(ragged: false), Draw(ragged: true)]));

        // Experts work on stretches whose lengths must be known to whoever hands the work out.
        var expected = config.Mlp is MixtureMlpConfig ? typeof(MixtureOfExperts) : typeof(TrainingStep);
        var frames = new StackTrace(failure).GetFrames().Select(frame => frame.GetMethod()!.DeclaringType!).SkipWhile(type => type != typeof(DeviceCopy));
        Assert.True(frames.FirstOrDefault(type => type != typeof(DeviceCopy)) == expected, failure.ToString());
    }

    private static Batch Draw(bool ragged)
    {
        var random = new Random(1);
        long[] ids = [.. Enumerable.Range(0, 2 * Tokens).Select(_ => (long)random.Next(Tiny.Config.VocabularySize!.Value))];
        return new Batch(ids, [.. ids.Select((id, place) => ragged && place % 3 == 0 ? Batch.IgnoredTarget : id)], Rows: 2, Tokens);
    }
}
