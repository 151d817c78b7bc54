using TorchSharp;
using Transformer.Inference.Torch;
using Transformer.Layers;
using Transformer.Model;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Tests.EndToEnd;

/// <summary>The program of docs/looking-inside.md.</summary>
public sealed class LookingInsideTests : IDisposable
{
    private readonly TemporaryFolder temporary = new();

    public void Dispose() => temporary.Dispose();

    [Fact]
    public void A_hook_keeps_an_activation_with_its_gradient_and_parameters_have_theirs()
    {
        using (var trainer = Trainer.Start(ConfigFile.Load("names", ["training.steps=2"]), temporary["run"]))
            trainer.Run(TestContext.Current.CancellationToken);

        var (activation, gradient, norms) = Look(temporary["run"]);

        Assert.Equal([1, 3, 64], activation.shape);
        Assert.Equal([1, 3, 64], gradient.shape);
        Assert.True(gradient.abs().max().ToSingle() > 0);
        Assert.All(norms, norm => Assert.True(norm > 0 && double.IsFinite(norm)));
        Assert.Equal(3, norms.Count);
    }

    private static (Tensor Activation, Tensor Gradient, List<double> Norms) Look(string folder)
    {
        using var loaded = LoadedModel.Open(folder);
        var model = loaded.Model;
        var parts = model.named_modules().ToDictionary(part => part.name, part => part.module);
        var attention = (TokenMixer)parts["model.layers.1.self_attn"];
        Tensor? activation = null;
        attention.register_forward_hook((_, input, context, state, output) =>
        {
            activation = output.alias().DetachFromDisposeScope();       // [B, T, C]: what attention adds to the stream
            activation.retain_grad();
            return activation;                                          // takes the output's place
        });

        using var ids = tensor(loaded.Tokenizer.Encode("anna").Select(id => (long)id).ToArray()).unsqueeze(0);
        using var logits = model.call(ids[.., ..^1], null);            // [B, T, V]
        using var loss = LanguageModelLoss.CrossEntropy(logits, ids[.., 1..]);
        loss.backward();

        var norms = new List<double>();
        foreach (var (name, weight) in model.Weights)
            if (name.EndsWith("q_proj.weight", StringComparison.Ordinal)) norms.Add(weight.grad!.norm().ToSingle());
        return (activation!, activation!.grad!, norms);
    }
}
