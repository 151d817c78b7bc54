using TorchSharp;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Data.Images;
using Transformer.Inference;
using Transformer.Inference.Torch;
using Transformer.Model;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Tests.Training;

public sealed class LiveTensorTests
{
    private static readonly TrainingConfig Config =
        new() { Steps = 50, BatchSize = 2, ZLoss = 1e-4, GradientClip = 0.1, Optimizer = new AdamWConfig { LearningRate = 1e-2 } };

    public static TheoryData<string> Models => [.. Tiny.Models.Keys];

    [Theory, MemberData(nameof(Models))]
    public void Training_steps_leave_no_live_tensor_behind(string kind) => StepsLeaveNothing(Tiny.Models[kind], Config.Optimizer);

    [Theory, MemberData(nameof(Models))]
    public void Blocks_that_are_computed_again_and_moments_in_bf16_leave_no_live_tensor_behind(string kind) => StepsLeaveNothing(
        Tiny.Models[kind], new AdamWConfig { LearningRate = 1e-2, StatePrecision = StatePrecision.Bf16 },
        Config with { ActivationCheckpointing = true });

    [Theory]
    [InlineData("rope")]
    [InlineData("mixture")]
    [InlineData("dynamic")]
    public void Muon_s_steps_leave_no_live_tensor_behind(string kind) =>
        StepsLeaveNothing(Tiny.Models[kind], new MuonConfig { LearningRate = 1e-2 });

    [Theory]
    [InlineData("adaptive")]
    [InlineData("mixture")]
    public void A_penalty_of_one_layer_leaves_no_live_tensor_behind(string kind) =>
        StepsLeaveNothing(Tiny.Models[kind] with { Layers = 1 }, Config.Optimizer);

    [Theory]
    [InlineData("rope")]
    [InlineData("mixture")]
    [InlineData("dynamic")]
    [InlineData("gated_delta")]
    public void Steps_in_16_bits_leave_no_live_tensor_behind(string kind) =>
        StepsLeaveNothing(Tiny.Models[kind], Config.Optimizer, Config with { Precision = Precision.Fp16 });

    private static void StepsLeaveNothing(ModelConfig config, OptimizerConfig rule, TrainingConfig? training = null)
    {
        using var model = new TransformerModel(config) { Precision = (training ?? Config).Precision };
        using var space = new ParameterSpace(model);
        using var optimizer = Optimizer.FromConfig(rule, space);
        for (var step = 0; step < 3; step++) Step(model, space, optimizer, training);
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;    // unlike the process's count, it ignores finalizers
        for (var step = 0; step < 6; step++) Step(model, space, optimizer, training);
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Theory, MemberData(nameof(Models))]
    public void Generated_tokens_leave_no_live_tensor_behind(string kind)
    {
        using var _ = no_grad();
        using var model = new TransformerModel(Tiny.Models[kind]);
        using var inference = SegmentedInferenceModel.Over(new TorchInferenceModel(model));
        using var state = inference.NewState(rows: 1);
        inference.Read(state, [0], [1], [1]);
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (var i = 0; i < 5; i++) inference.Read(state, [0], [1], [1]);
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Theory, MemberData(nameof(Models))]
    public void Disposing_a_model_a_space_and_an_optimizer_frees_them(string kind)
    {
        Train();    // frees what the graphs of earlier tests have left to this thread
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Train();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);

        void Train()
        {
            using var model = new TransformerModel(Tiny.Models[kind]);
            using var space = new ParameterSpace(model);
            using var optimizer = Optimizer.FromConfig(new MuonConfig { LearningRate = 1e-2 }, space);
            Step(model, space, optimizer);
        }
    }

    private static void Step(TransformerModel model, ParameterSpace space, Optimizer optimizer, TrainingConfig? training = null)
    {
        var batch = new Batch([1, 2, 3, 4, 5, 6], [2, 3, 4, 5, 6, 7], Rows: 2, Columns: 3);
        using var taken = new TrainingStep(model, space, optimizer, training ?? Config);
        taken.Run(1, [batch, batch]);
        if (model.Config.Vision is { } vision)
        {
            var two = new byte[] { 0, 9 }.Select(level => new Picture(8, 8, [.. Enumerable.Repeat(level, 192)]));
            var pictures = new BatchPictures([.. two], [1, 0]);
            var seen = new Batch([1, -1, 3, -1, 5, 6], batch.Targets, Rows: 2, Columns: 3) { Pictures = pictures };
            taken.Run(1, [seen.ReadBy(vision), batch]);
        }
        if (!model.Config.HasSegments) return;
        var longer = new Batch([.. Enumerable.Repeat(1L, 20)], [.. Enumerable.Repeat(2L, 20)], Rows: 2, Columns: 10);
        taken.Run(1, [longer with { Starts = [true, false, true, true] }, longer with { Starts = [false, false, false, true] }]);
        taken.Run(1, [longer with { Starts = [false, false, false, false] }]);
    }
}
