using System.Text.Json.Nodes;
using TorchSharp;
using Transformer.Data;
using Transformer.Distributed;
using Transformer.Model;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Tests.Training;

public sealed class StepProfileTests
{
    private static readonly TrainingConfig Config = new()
    {
        Steps = 50,
        BatchSize = 2,
        Optimizer = new AdamWConfig { LearningRate = 1e-2 }
    };

    public static TheoryData<string> Models => [.. Tiny.Models.Keys];

    // Where a tensor has several uses, the frames change the order in which their gradients are added.
    [Theory, MemberData(nameof(Models))]
    public void A_profiled_run_ends_with_the_same_weights_but_for_rounding_and_leaves_no_tensor_behind(string kind)
    {
        using var scope = NewDisposeScope();
        Near.Equal(Train(kind, null), Train(kind, new StepProfile()), 1e-5, kind);

        Tensor Train(string kind, StepProfile? profile)
        {
            manual_seed(1);
            using var model = new TransformerModel(Tiny.Models[kind]);
            using var space = new ParameterSpace(model);
            using var optimizer = Optimizer.FromConfig(Config.Optimizer, space);
            for (var step = 0; step < StepProfile.WarmUp + 1; step++) Step(model, space, optimizer, profile);
            var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
            for (var step = 0; step < 3; step++) Step(model, space, optimizer, profile);
            Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
            return space.Values.clone();
        }
    }

    [Fact]
    public void Every_part_is_there_with_its_way_back_and_the_shares_add_up_to_one()
    {
        var profile = Profiled(steps: StepProfile.WarmUp + 2);
        Assert.Equal(2, profile.Measured);
        var lines = profile.Lines().ToDictionary(line => line.Part);
        Near.Equal(1, lines.Values.Sum(line => line.Share), 1e-9);
        Assert.All(lines.Values, line => Assert.InRange(line.Share, 0, 1));
        foreach (var part in new[]
        {
            "self_attn", "self_attn.q_proj", "self_attn.o_proj", "mlp", "mlp.gate_proj", "mlp.down_proj", "input_layernorm",
            "post_attention_layernorm",
        })
            Assert.True(lines[$"model.layers.*.{part}"] is { ForwardSeconds: > 0, BackwardSeconds: > 0 }, part);
        foreach (var part in new[]
        {
            "step", "forward pass", "backward pass", "head and loss", "gradient norm", "update", "model.embed_tokens",
        })
            Assert.True(lines[part] is { ForwardSeconds: > 0, BackwardSeconds: 0 }, part);
        Assert.Equal(lines.Values.Select(line => line.Share).OrderDescending(), lines.Values.Select(line => line.Share));
    }

    [Fact]
    public void Steps_of_the_warm_up_and_past_the_last_are_not_measured()
    {
        Assert.Empty(Profiled(steps: StepProfile.WarmUp).Lines());
        var profile = new StepProfile();
        Assert.Equal(StepProfile.Steps, Enumerable.Range(0, 100).Count(_ => profile.BeginsStep()));
        Assert.Equal(StepProfile.Steps, profile.Measured);
    }

    [Fact]
    public void The_trace_s_spans_lie_inside_each_other_and_the_way_back_runs_through_the_blocks_from_the_last_to_the_first()
    {
        using var folder = new TemporaryFolder();
        Profiled(steps: StepProfile.WarmUp + 1).WriteTrace(folder["trace.json"]);
        var events = JsonNode.Parse(File.ReadAllText(folder["trace.json"]))!["traceEvents"]!.AsArray()
            .Select(happened => (Name: (string)happened!["name"]!, Category: (string)happened["cat"]!, Start: (double)happened["ts"]!,
                End: (double)happened["ts"]! + (double)happened["dur"]!))
            .ToList();

        var step = events.Single(happened => happened.Name == "step");
        foreach (var a in events)
            foreach (var b in events)
                Assert.True(a.End <= b.Start + 1e-3 || b.End <= a.Start + 1e-3 || Inside(a, b) || Inside(b, a), $"{a} and {b} cross");
        Assert.All(events, happened => Assert.True(Inside(happened, step)));
        string[] blocks = ["model.layers.0", "model.layers.1"];
        Assert.Equal(
            blocks,
            events.Where(happened => happened.Category == "forward" && blocks.Contains(happened.Name)).Select(happened => happened.Name));
        Assert.Equal(
            blocks.Reverse(),
            events.Where(happened => happened.Category == "backward" && blocks.Contains(happened.Name)).Select(happened => happened.Name));

        static bool Inside((string, string, double Start, double End) inner, (string, string, double Start, double End) outer) =>
            inner.Start >= outer.Start - 1e-3 && inner.End <= outer.End + 1e-3;
    }

    private static StepProfile Profiled(int steps)
    {
        using var model = new TransformerModel(Tiny.Config);
        using var space = new ParameterSpace(model);
        using var optimizer = Optimizer.FromConfig(Config.Optimizer, space);
        var profile = new StepProfile();
        for (var step = 0; step < steps; step++) Step(model, space, optimizer, profile);
        return profile;
    }

    private static void Step(TransformerModel model, ParameterSpace space, Optimizer optimizer, StepProfile? profile)
    {
        var measured = profile?.BeginsStep() is true ? profile : null;
        using var whole = measured?.Measure("step");
        new TrainingStep(model, space, optimizer, Config) { Profile = measured }.Run(
            1, [new Batch([1, 2, 3, 4, 5, 6], [2, 3, 4, 5, 6, 7], Rows: 2, Columns: 3)]);
    }
}
