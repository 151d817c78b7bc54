using Transformer.Configuration;
using Transformer.Data;
using Transformer.Model;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Tests.Model;

/// <summary>nanoGPT's and llama2.c's numbers, reproduced with the code of training.</summary>
public sealed class ReferenceModelTests
{
    [Theory]
    [InlineData("nanogpt/bias")]
    [InlineData("nanogpt/nobias")]
    [InlineData("llama/tied")]
    [InlineData("llama/untied")]
    public void Logits_and_loss_are_the_reference_s(string golden)
    {
        var reference = ReferenceModel.Open(golden);
        using var model = reference.Build();
        var logits = model.call(reference.Forward["ids"], null);
        Near.Equal(reference.Forward["logits"], logits, reference.Logits, "logits");
        Near.Equal(
            reference.Forward["loss"].item<float>(), LanguageModelLoss.CrossEntropy(logits, reference.Forward["targets"]).item<float>(),
            reference.Loss, "loss");
    }

    [Theory]
    [InlineData("nanogpt/bias")]
    [InlineData("nanogpt/nobias")]
    public void Ignored_labels_and_short_texts_are_the_reference_s(string golden)
    {
        var reference = ReferenceModel.Open(golden);
        using var model = reference.Build();
        var (ids, logits) = (reference.Forward["ids"], model.call(reference.Forward["ids"], null));
        var masked = LanguageModelLoss.CrossEntropy(logits, reference.Forward["targets_masked"], ignored: -1);
        Near.Equal(reference.Forward["loss_masked"].item<float>(), masked.item<float>(), reference.Loss, "masked loss");
        Near.Equal(
            reference.Forward["logits_last_only"], model.Logits(model.Hidden(ids).narrow(1, 23, 1)), reference.Logits, "last logits");
        Near.Equal(reference.Forward["logits_first7"], model.call(ids.narrow(1, 0, 7), null), reference.Logits, "first seven");
    }

    [Theory]
    [InlineData("nanogpt/bias")]
    [InlineData("nanogpt/nobias")]
    [InlineData("llama/tied")]
    [InlineData("llama/untied")]
    public void Every_gradient_is_the_reference_s(string golden)
    {
        var reference = ReferenceModel.Open(golden);
        using var model = reference.Build();
        using var space = new ParameterSpace(model);
        LanguageModelLoss.CrossEntropy(model.call(reference.Forward["ids"], null), reference.Forward["targets"]).backward();
        var expected = reference.Read("grads");
        Assert.Equal(expected.Keys.Order(), space.Parameters.Select(parameter => parameter.Name).Order());
        Assert.All(
            space.Parameters, parameter => Near.Equal(expected[parameter.Name], parameter.Gradient!, reference.Gradient, parameter.Name));
    }

    [Theory]
    [InlineData("nanogpt/bias")]
    [InlineData("nanogpt/nobias")]
    [InlineData("llama/tied")]
    [InlineData("llama/untied")]
    public void Ten_clipped_AdamW_steps_are_the_reference_s(string golden)
    {
        var reference = ReferenceModel.Open(golden);
        using var model = reference.Build();
        using var space = new ParameterSpace(model);
        var config = new TrainingConfig
        {
            Steps = 10,
            BatchSize = 4,
            GradientClip = 1,
            Optimizer = new AdamWConfig { LearningRate = 1e-3, Beta2 = 0.95, WeightDecay = 0.1 }
        };
        using var optimizer = Optimizer.FromConfig(config.Optimizer, space);
        var (losses, norms) = (
            reference.Training["losses"].data<float>().ToArray(), reference.Training["grad_norms_before_clip"].data<float>().ToArray());
        for (var step = 0; step < 10; step++)
        {
            var result = new TrainingStep(model, space, optimizer, config).Run(1, [Batch(reference, step)]);
            Near.Equal(losses[step], result.Loss, reference.Loss, $"loss of step {step}");
            Near.Equal(norms[step], result.GradientNorm, reference.Norm * norms[step], $"gradient norm of step {step}");
        }
        var after = LanguageModelLoss.CrossEntropy(model.call(reference.Training["ids"][0], null), reference.Training["targets"][0]);
        Near.Equal(reference.Training["loss_on_batch0_after"].item<float>(), after.item<float>(), reference.Loss, "loss afterwards");
        if (golden != "llama/untied") SameWeights(reference, model);    // that golden has no final weights
    }

    [Theory]
    [InlineData("gelu_tanh")]
    [InlineData("epsilon")]
    [InlineData("heads")]
    public void A_slightly_wrong_gpt_does_not_pass(string mistake)
    {
        var reference = ReferenceModel.Open("nanogpt/bias");
        var wrong = mistake switch
        {
            "gelu_tanh" => reference.Config with { Mlp = new GeluTanhMlpConfig { Bias = true } },
            "epsilon" => reference.Config with { Norm = new LayerNormConfig { Epsilon = 1e-6 } },
            _ => reference.Config with { Attention = new SoftmaxAttentionConfig { Heads = 8, Bias = true } },
        };
        AssertWrong(reference, wrong);
    }

    [Theory]
    [InlineData("epsilon")]
    [InlineData("theta")]
    [InlineData("heads")]
    public void A_slightly_wrong_llama_does_not_pass(string mistake)
    {
        var reference = ReferenceModel.Open("llama/tied");
        var wrong = mistake switch
        {
            "epsilon" => reference.Config with { Norm = new RmsNormConfig { Epsilon = 1e-6 } },
            "theta" => reference.Config with { Position = new RotaryPositionConfig { Theta = 500_000 } },
            _ => reference.Config with { Attention = new SoftmaxAttentionConfig { Heads = 3, KvHeads = 1, HeadWidth = 16 } },
        };
        AssertWrong(reference, wrong);
    }

    private static void AssertWrong(ReferenceModel reference, ModelConfig wrong)
    {
        using var model = reference.Build(wrong);
        Assert.True(Near.Distance(reference.Forward["logits"], model.call(reference.Forward["ids"], null)) > 10 * reference.Logits);
    }

    private static Batch Batch(ReferenceModel reference, int step)
    {
        var (ids, targets) = (reference.Training["ids"][step], reference.Training["targets"][step]);
        return new(ids.data<long>().ToArray(), targets.data<long>().ToArray(), (int)ids.shape[0], (int)ids.shape[1]);
    }

    // The key bias shifts all scores of a query equally, so its gradient is rounding noise, which Adam scales to the size of any other
    // step.
    private static void SameWeights(ReferenceModel reference, TransformerModel model)
    {
        var differences = new List<double>();
        var expected = reference.Read("final_weights");
        foreach (var (name, parameter) in model.named_parameters())
        {
            if (name.EndsWith("k_proj.bias", StringComparison.Ordinal)) continue;
            Near.Equal(expected[name], parameter, reference.FinalWeights, name);
            differences.AddRange((expected[name] - parameter).abs().to(float64).detach().contiguous().data<double>().ToArray());
        }
        var far = differences.Count(difference => difference > 2e-5);
        Assert.True(
            far <= differences.Count / 1000,
            $"{far} of {differences.Count} final weights are off by more than 2e-5, the worst by {differences.Max():g3}");
    }
}
