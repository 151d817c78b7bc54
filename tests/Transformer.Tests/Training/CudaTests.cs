using Transformer.Data;
using Transformer.Distributed;
using Transformer.Model;
using Transformer.Native;
using Transformer.Runs;
using Transformer.Tests.EndToEnd;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Tests.Training;

/// <summary>Tests that need a GPU; skipped where there is none.</summary>
public sealed class CudaTests
{
    private const int Rows = 2, Tokens = 160;

    [Fact]
    public void Every_kind_has_the_loss_and_the_gradients_that_it_has_on_the_processor()
    {
        var device = Cuda();
        foreach (var (kind, tiny) in Tiny.Models)
        {
            using var scope = NewDisposeScope();
            var config = tiny with { ContextLength = Tokens };
            manual_seed(1);
            using var here = new TransformerModel(config);
            using var there = new TransformerModel(config, device);
            Tiny.CopyWeights(here, there);
            var (expected, actual) = (Pass(here), Pass(there));
            Near.Equal(expected, actual, 1e-5 * Math.Max(1, expected), $"{kind}: loss");
            foreach (var (name, weight) in here.named_parameters())
            {
                if (weight.grad is not { } gradient) continue;
                Near.Equal(
                    gradient, there.Weight(name).grad!.cpu(), 1e-3 * Math.Max(1e-2, gradient.abs().max().item<float>()),
                    $"{kind}: gradient of {name}");
            }
        }

        static double Pass(TransformerModel model)
        {
            var ids = arange(Rows * Tokens).remainder(Tiny.Config.VocabularySize!.Value).view(Rows, Tokens).to(model.Device);
            var (hidden, penalty) = model.HiddenAndPenalty(ids);
            var (loss, total) = model.Loss(hidden, ids, 1e-4);
            (penalty is null ? total : total + penalty).backward();
            return loss.item<float>();
        }
    }

    [Theory]
    [InlineData("adamw", StatePrecision.Fp32)]
    [InlineData("adamw", StatePrecision.Bf16)]
    [InlineData("muon", StatePrecision.Fp32)]
    public void Steps_are_those_of_the_processor(string rule, StatePrecision state)
    {
        var device = Cuda();
        OptimizerConfig optimizer = rule == "adamw"
            ? new AdamWConfig { LearningRate = 0.1, Epsilon = 1, WeightDecay = 0.1, StatePrecision = state }
            : new MuonConfig { LearningRate = 1e-2 };
        var (here, there) = (Train(CPU), Train(device));
        for (var step = 0; step < here.Results.Length; step++)
            Near.Equal(here.Results[step].Loss, there.Results[step].Loss, 1e-3, $"loss of step {step}");
        foreach (var (name, value) in here.Weights) Near.Equal(value, there.Weights[name], 2e-3, name);

        (TrainingStep.Result[] Results, Dictionary<string, Tensor> Weights) Train(Device on)
        {
            manual_seed(1);
            using var first = new TransformerModel(Tiny.Config);
            using var model = new TransformerModel(Tiny.Config, on);
            Tiny.CopyWeights(first, model);
            using var space = new ParameterSpace(model);
            using var rules = Optimizer.FromConfig(optimizer, space);
            var step = new TrainingStep(
                model, space, rules, new TrainingConfig { Steps = 5, BatchSize = 2, GradientClip = 0.5, Optimizer = optimizer });
            TrainingStep.Result[] results = [.. Enumerable.Range(0, 5)
                .Select(_ => step.Run(1, [new Batch([1, 2, 3, 4, 5, 6], [2, 3, 4, 5, 6, 7], Rows: 2, Columns: 3)]))];
            return (results, model.Weights.ToDictionary(weight => weight.Name, weight => weight.Value.detach().cpu().clone()));
        }
    }

    [Fact]
    public async Task A_run_goes_on_here_from_what_was_saved_there_and_there_from_what_was_saved_here()
    {
        var device = Cuda().ToString();
        using var here = new Workplace();
        string[] options = ["--set", "model.dropout=0", "--set", "training.keep_checkpoints=9"];
        await here.Train("plain", options);
        await here.Train("run", [.. options, "--device", device]);
        foreach (var next in (string[])["cpu", device])
        {
            here.Write("run/checkpoints/latest", "step-10\n");
            var (code, _, error) = await Workplace.Request("train", "--resume", here["run"], "--device", next);
            Assert.True(code == 0, error);
            var (expected, actual) = (here.Metrics("plain"), here.Metrics("run"));
            for (var step = 0; step < expected.Length; step++)
                Near.Equal(
                    expected[step]["train_loss"]!.GetValue<double>(), actual[step]["train_loss"]!.GetValue<double>(), 2e-3,
                    $"loss of step {step + 1}, on {next} from step 10 on");
        }
    }

    [Fact]
    public void NCCL_itself_carries_the_buffers_of_one_rank_beside_the_stream_that_computes()
    {
        using var scope = NewDisposeScope();
        var device = Cuda();
        using var rank = new Nccl(new SingleProcess(), device, NcclLibrary.Load(), CudaStreams.Load(), TextWriter.Null);
        var numbers = zeros(1 << 24, device: device);
        for (var turn = 1; turn <= 50; turn++)
        {
            numbers.add_(1);
            var sum = rank.AllReduce(numbers);
            sum.Wait();
            rank.Broadcast(numbers, root: 0);
            numbers.mul_(1);
        }
        Assert.Equal(50.0 * numbers.numel(), numbers.to(ScalarType.Float64).sum().item<double>());
    }

    private static Device Cuda()
    {
        Assert.SkipUnless(cuda.is_available(), "there is no graphics processor; docs/gpu.md says what to run where there is one");
        return ComputeDevice.Named("cuda");
    }
}
