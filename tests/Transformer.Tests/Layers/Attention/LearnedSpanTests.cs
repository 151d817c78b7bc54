using Transformer.Configuration;
using Transformer.Data;
using Transformer.Layers;
using Transformer.Layers.Attention;
using Transformer.Model;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Attention;

// B batch · T tokens · C width · H heads

public sealed class LearnedSpanTests
{
    private static readonly TrainingConfig Training =
        new() { Steps = 1, BatchSize = 2, GradientClip = null, Optimizer = new AdamWConfig { LearningRate = 3 } };

    private static readonly Batch Batch = new([1, 2, 3, 4, 5, 6], [2, 3, 4, 5, 6, 7], Rows: 2, Columns: 3);

    public LearnedSpanTests() => manual_seed(1);

    [Fact]
    public void Without_vectors_a_dynamic_span_is_the_adaptive_span_of_the_bias_s_sigmoid()
    {
        using var _ = no_grad();
        using var adaptive = new SoftmaxAttention(new() { Heads = 4, Window = new AdaptiveWindowConfig { Maximum = 9, Ramp = 3 } }, 16);
        using var dynamic = new SoftmaxAttention(new() { Heads = 4, Window = new DynamicWindowConfig { Maximum = 9, Ramp = 3 } }, 16);
        Tiny.CopyWeights(adaptive, dynamic);
        dynamic.Weight("window.bias").copy_(tensor([-2f, -0.5f, 0.1f, 1f]));
        adaptive.Weight("window.span").copy_(dynamic.Weight("window.bias").sigmoid());
        var x = randn(2, 20, 16);
        Near.Equal(adaptive.call(x, new ForwardContext(), null), dynamic.call(x, new ForwardContext(), null), 1e-6);
        dynamic.Weight("window.weight").normal_();
        Assert.True(Near.Distance(adaptive.call(x, new ForwardContext(), null), dynamic.call(x, new ForwardContext(), null)) > 1e-3);
    }

    [Fact]
    public void A_dynamic_span_is_the_formula_of_its_token()
    {
        using var module = new DynamicSpan(new() { Maximum = 50 }, heads: 3, width: 8);
        WindowCases.Spread(module);
        using (no_grad()) module.Weight("bias").normal_();
        var x = randn(2, 5, 8);
        var spans = module.call(x, new ForwardContext()).Spans;
        Near.Equal(50 * sigmoid(dot(module.Weight("weight")[2], x[1, 3]) + module.Weight("bias")[2]), spans[1, 2, 3], 1e-5);
    }

    [Fact]
    public void Spans_begin_at_zero_and_dynamic_ones_where_the_bias_says()
    {
        using var model = new TransformerModel(Mixed);
        var spans = model.MeanSpans(Tiny.Ids(2, 12))!;
        Assert.Equal([0f, 0f, 0f, 0f], spans[0]);
        Assert.Empty(spans[1]);
        Assert.All(spans[2], span => Assert.Equal(20 / (1 + Math.Exp(1.5)), span, 1e-5));
    }

    [Fact]
    public void Mean_spans_are_those_of_the_chosen_tokens()
    {
        using var model = Spread();
        var ids = Tiny.Ids(2, 12);
        var (all, one, others) = (Dynamic(null), Dynamic([15]), Dynamic([.. Enumerable.Range(0, 24).Where(place => place != 15)]));
        Assert.All(all.Zip(one, others), head => Assert.Equal(head.First, (head.Second + 23 * head.Third) / 24, 1e-4));
        Assert.True(Math.Abs(one[0] - others[0]) > 1e-3);
        // causal: the fourth token of the second row, read without what follows it
        using var start = ids[1, ..4].unsqueeze(0);
        Assert.All(model.MeanSpans(start, [3])![2].Zip(one), head => Assert.Equal(head.First, head.Second, 1e-4));

        IReadOnlyList<float> Dynamic(int[]? chosen) => model.MeanSpans(ids, chosen)![2];
    }

    [Fact]
    public void The_penalty_is_lambda_times_the_mean_span_of_each_layer()
    {
        using var model = Spread();
        var ids = Tiny.Ids(2, 12);
        var spans = model.MeanSpans(ids)!;
        var penalty = model.HiddenAndPenalty(ids).Penalty!;
        Near.Equal(0.25 * spans[0].Average() + 0.5 * spans[2].Average(), penalty.item<float>(), 1e-5);
    }

    [Fact]
    public void The_penalty_s_gradient_is_that_of_the_mean_over_heads_and_tokens()
    {
        using var adaptive = new AdaptiveSpan(new() { Maximum = 10, Penalty = 0.25 }, heads: 4);
        using var dynamic = new DynamicSpan(new() { Maximum = 20, Penalty = 0.5 }, heads: 4, width: 16);
        WindowCases.Spread(dynamic);
        var losses = new AuxiliaryLosses();
        adaptive.call(randn(2, 5, 16), new ForwardContext { AuxiliaryLosses = losses });
        var z = dynamic.call(randn(2, 5, 16), new ForwardContext { AuxiliaryLosses = losses }).Spans;
        losses.Total()!.backward();
        Near.Equal(full([4], 0.25f * 10 / 4), adaptive.Weight("span").grad!, 1e-6, "lambda S_max / H");
        Near.Equal(0.5 / 4 * (z * (1 - z / 20)).mean([0, 2]), dynamic.Weight("bias").grad!, 1e-5, "sigmoid' of each token");
    }

    [Fact]
    public void The_penalty_joins_the_gradient_of_a_step_and_not_its_loss()
    {
        var (free, paid) = (Step(penalty: 0), Step(penalty: 100));
        Assert.Equal(free.Loss, paid.Loss);
        Assert.True(free.GradientNorm < 100, $"without a penalty {free.GradientNorm}");
        Near.Equal(100 * 10 / 4.0 * Math.Sqrt(8), paid.GradientNorm, 5, "lambda S_max / H for 4 heads of 2 layers");

        static TrainingStep.Result Step(double penalty)
        {
            manual_seed(3);
            using var model = new TransformerModel(Tiny.Config with
            {
                Attention = new SoftmaxAttentionConfig { Heads = 4, Window = new AdaptiveWindowConfig { Maximum = 10, Penalty = penalty } },
            });
            WindowCases.Spread(model);
            using var space = new ParameterSpace(model);
            using var optimizer = Optimizer.FromConfig(Training.Optimizer, space);
            return new TrainingStep(model, space, optimizer, Training).Run(1, [Batch]);
        }
    }

    [Fact]
    public void After_a_step_that_would_leave_them_shares_lie_between_zero_and_one()
    {
        using var model = Spread();
        using var space = new ParameterSpace(model);
        using var optimizer = Optimizer.FromConfig(Training.Optimizer, space);
        var span = model.Weight("model.layers.0.self_attn.window.span");
        using (no_grad()) span.copy_(tensor([0.1f, 0.2f, 0.8f, 0.9f]));
        new TrainingStep(model, space, optimizer, Training).Run(1, [Batch]);
        // Adam's first step is as long as the learning rate
        Assert.All(span.data<float>(), share => Assert.True(share is 0 or 1, $"{share}"));
        var place = space.Parameters.Single(parameter => parameter.Name == "model.layers.0.self_attn.window.span");
        Near.Equal(space.Values.narrow(0, place.Offset, 4), span, 0, "what the optimizer goes on from");
    }

    [Fact]
    public void Spans_and_biases_do_not_decay()
    {
        using var model = new TransformerModel(Mixed);
        using var space = new ParameterSpace(model);
        foreach (var name in (string[])["model.layers.0.self_attn.window.span", "model.layers.2.self_attn.window.bias"])
            Assert.False(space.Parameters.Single(parameter => parameter.Name == name).Decays);
    }

    [Fact]
    public void Training_without_a_penalty_opens_the_window_that_the_task_needs_and_a_penalty_closes_it()
    {
        Assert.True(SpanAfterTraining(penalty: 0) > 6, "the token eight back tells the next one");
        Assert.True(SpanAfterTraining(penalty: 1) < 1, "seeing costs more than it brings");
    }

    // Trains one layer to repeat the token eight positions back. Returns the widest head's span.
    private static float SpanAfterTraining(double penalty)
    {
        manual_seed(5);
        using var scope = NewDisposeScope();
        using var model = new TransformerModel(Tiny.Config with
        {
            Layers = 1,
            ContextLength = 24,
            Width = 32,
            Attention = new SoftmaxAttentionConfig
            {
                Heads = 4,
                Window = new AdaptiveWindowConfig { Maximum = 24, Ramp = 4, Penalty = penalty }
            },
            Initialization = new Gpt2InitializationConfig { Deviation = 0.1 },
        });
        // 4.8 tokens and the ramp: eight back is just inside the window
        using (no_grad()) model.Weight("model.layers.0.self_attn.window.span").fill_(0.2);
        using var space = new ParameterSpace(model);
        using var optimizer = Optimizer.FromConfig(new AdamWConfig { LearningRate = 1e-2 }, space);
        for (var step = 0; step < 150; step++)
        {
            using var inner = NewDisposeScope();
            var ids = randint(0, 13, [8, 8]).repeat(1, 3);    // each eight repeats
            var (hidden, cost) = model.HiddenAndPenalty(ids);
            var loss = LanguageModelLoss.CrossEntropy(model.Logits(hidden).narrow(1, 8, 15), ids.narrow(1, 9, 15));
            (cost is null ? loss : loss + cost).backward();
            optimizer.Step(1);
            space.ClampBounded();
            space.ZeroGradients();
        }
        return model.MeanSpans(Tiny.Ids(1, 24))![0].Max();
    }

    private static ModelConfig Mixed { get; } = Tiny.Config with
    {
        Layers = 3,
        Attention = null,
        Mixers = new Dictionary<string, AttentionConfig>
        {
            ["adaptive"] = new SoftmaxAttentionConfig
            {
                Heads = 4,
                Window = new AdaptiveWindowConfig { Maximum = 10, Ramp = 2, Penalty = 0.25 }
            },
            ["full"] = new SoftmaxAttentionConfig { Heads = 4 },
            ["dynamic"] = new SoftmaxAttentionConfig
            {
                Heads = 4,
                Window = new DynamicWindowConfig { Maximum = 20, Ramp = 2, Penalty = 0.5, InitialBias = -1.5 }
            },
        },
        Pattern = ["adaptive", "full", "dynamic"],
    };

    private static TransformerModel Spread()
    {
        var model = new TransformerModel(Mixed);
        WindowCases.Spread(model);
        return model;
    }
}
