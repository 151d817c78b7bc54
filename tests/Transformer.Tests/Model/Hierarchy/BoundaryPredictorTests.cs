using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Model;
using Transformer.Model.Hierarchy;
using static TorchSharp.torch;

namespace Transformer.Tests.Model.Hierarchy;

// B batch · T tokens · C width

/// <summary>PiotrNawrot/dynamic-pooling; tolerances are those of the goldens.</summary>
public sealed class BoundaryPredictorTests
{
    private const double Values = 1e-5, Gradients = 3e-5, Rate = 0.2, Temperature = 0.5;

    public BoundaryPredictorTests() => manual_seed(1);

    [Fact]
    public void Logits_are_the_reference_s()
    {
        using var scope = NewDisposeScope();
        var expected = Golden.Read("hierarchy/predictor/gelu.safetensors");
        using var predictor = Predictor(expected);
        var logits = predictor.call(expected["hidden"].transpose(0, 1));
        Near.Equal(expected["logits"], logits, Values, "logits");
        Near.Equal(expected["probabilities"], logits.sigmoid(), Values, "probabilities");
    }

    [Theory]
    [InlineData("gelu")]
    [InlineData("relu")]
    public void Drawn_boundaries_and_their_gradients_are_the_reference_s(string golden)
    {
        using var scope = NewDisposeScope();
        var expected = Golden.Read($"hierarchy/predictor/{golden}.safetensors");
        var logits = expected["logits"].requires_grad_();
        var hard = BoundaryPredictor.Draw(logits, expected["uniform"], Temperature);
        Near.Equal(expected["hard"], hard, 0, "hard");
        (expected["w"] * hard).sum().backward();
        Near.Equal(expected["straight_through_grad_logits"], logits.grad!, Values, "gradient");
        Near.Equal(expected["soft_grad_logits"], logits.grad!, Values, "gradient before rounding");
    }

    [Theory]
    [InlineData(0f)]
    [InlineData(1f)]
    public void Noise_at_either_end_decides_and_leaves_finite_gradients(float end)
    {
        var logits = tensor((float[])[-3, 0, 3], [1, 3]).requires_grad_();
        var hard = BoundaryPredictor.Draw(logits, full([1, 3], end), Temperature);
        Near.Equal(full([1, 3], end), hard, 0);
        hard.sum().backward();
        Assert.True(logits.grad!.isfinite().all().item<bool>());
    }

    [Fact]
    public void As_many_boundaries_are_drawn_as_are_probable()
    {
        using var _ = no_grad();
        foreach (var p in (double[])[0.1, 0.5, 0.8])
        {
            var logits = full([1, 20_000], Math.Log(p / (1 - p)));
            Near.Equal(p, BoundaryPredictor.Draw(logits, rand_like(logits), Temperature).mean().item<float>(), 0.015, $"of {p}");
        }
    }

    [Theory]
    [InlineData("gelu")]
    [InlineData("relu")]
    public void The_prior_of_drawn_boundaries_is_the_reference_s(string golden)
    {
        using var scope = NewDisposeScope();
        var expected = Golden.Read($"hierarchy/predictor/{golden}.safetensors");
        var logits = expected["logits"].requires_grad_();
        var prior = BoundaryPredictor.Prior(BoundaryPredictor.Draw(logits, expected["uniform"], Temperature), Rate);
        Near.Equal(expected["prior_loss"].item<float>(), prior.item<float>(), Values, "prior");
        prior.backward();
        Near.Equal(expected["prior_loss_grad_logits"], logits.grad!, Values, "gradient");
    }

    [Fact]
    public void The_prior_is_the_likelihood_of_a_binomial_for_all_counts()
    {
        foreach (var given in JsonNode.Parse(File.ReadAllText(Golden.PathOf("hierarchy/binomial.json")))!.AsArray())
        {
            var (tokens, count) = ((int)given!["length"]!, (int)given["boundaries"]!);
            var ends = (arange(tokens) < count).to(float32).unsqueeze(0).requires_grad_();
            var prior = BoundaryPredictor.Prior(ends, (double)given["prior"]!);
            prior.backward();
            var gradient = full([1, tokens], (double)given["gradient_float64"]!);
            Near.Equal((double)given["loss_float64"]!, prior.item<float>(), 2e-6, $"{count} of {tokens}");
            Near.Equal(gradient, ends.grad!, 2e-6, $"gradient of {count} of {tokens}");
        }
    }

    [Fact]
    public void Pooling_and_the_prior_teach_the_predictor_as_the_reference_s()
    {
        using var scope = NewDisposeScope();
        var expected = Golden.Read("hierarchy/predictor/gelu.safetensors");
        using var predictor = Predictor(expected);
        var x = expected["hidden"].transpose(0, 1).clone().requires_grad_();
        var logits = predictor.call(x);
        logits.retain_grad();
        var ends = BoundaryPredictor.Draw(logits, expected["uniform"], Temperature);
        var most = (int)ends.sum(1).max().item<float>();
        var (sums, counts) = TokenGroups.Sum(x, ends, most + 1);
        var groups = cat([expected["null_group"].expand(2, 1, -1), TokenGroups.Mean(sums, counts)], 1);
        var joint = TokenGroups.Receive(groups, ends.cumsum(1)).transpose(0, 1);
        Near.Equal(expected["joint"], joint, Values, "joint");
        ((expected["w_joint"] * joint).sum() + 3 * BoundaryPredictor.Prior(ends, Rate)).backward();
        Near.Equal(expected["total_grad_logits"], logits.grad!, Gradients, "logits");
        Near.Equal(expected["total_grad_hidden"], x.grad!.transpose(0, 1), Gradients, "hidden");
        foreach (var (name, parameter) in predictor.named_parameters())
            Near.Equal(expected[$"total_grad.{Its(name)}"], parameter.grad!, Gradients, name);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Spikes_of_the_entropy_are_the_reference_s(int left)
    {
        var expected = Golden.Read("hierarchy/spikes.safetensors");
        var entropy = BoundaryPredictor.Entropy(expected["logits"].transpose(0, 1));
        Near.Equal(expected[$"spikes_left_{left}"].t(), BoundaryPredictor.Spikes(entropy, left), 0);
    }

    [Fact]
    public void The_first_of_a_text_is_a_spike_and_equal_entropies_are_none()
    {
        var logits = randn(1, 1, 9).expand(2, 5, 9);
        Near.Equal((arange(5) == 0).to(float32).expand(2, 5), BoundaryPredictor.Spikes(BoundaryPredictor.Entropy(logits), left: 2), 0);
    }

    // The authors' code takes the sigmoid twice; we take it once.
    [Fact]
    public void Spikes_teach_by_the_cross_entropy_of_logits()
    {
        var expected = Golden.Read("hierarchy/supervised.safetensors");
        var (p, spikes) = (expected["probabilities"], expected["targets"]);
        var loss = nn.functional.binary_cross_entropy_with_logits((p / (1 - p)).log(), spikes);
        Near.Equal(expected["loss_once"].item<float>(), loss.item<float>(), 3e-6);
    }

    [Fact]
    public void Padding_has_no_boundaries_and_no_part_in_the_prior()
    {
        var ends = tensor(new[] { 1f, 0, 1, 0, 0, 0, 1, 0, 0, 0 }, 2, 5);
        var (first, second) = (ends.narrow(0, 0, 1).narrow(1, 0, 3), ends.narrow(0, 1, 1));
        var alone = (BoundaryPredictor.Prior(first, 0.3) + BoundaryPredictor.Prior(second, 0.3)) / 2;
        Near.Equal(alone, BoundaryPredictor.Prior(ends, 0.3, tensor(new[] { 3f, 5 })), 1e-6);
    }

    [Fact]
    public void A_model_teaches_its_predictor_by_the_spikes_of_its_own_entropy()
    {
        using var scope = NewDisposeScope();
        using var model = new TransformerModel(Tiny.Grouped["entropy boundaries"]);
        Tensor? logits = null;
        model.modules().OfType<BoundaryPredictor>().Single().register_forward_hook((_, _, found) =>
        {
            logits = found.detach().clone().DetachFromDisposeScope();
            return found;
        });
        var (hidden, penalty) = model.HiddenAndPenalty(Tiny.Ids(2, 11));
        var p = logits!.sigmoid();
        var spikes = BoundaryPredictor.Spikes(BoundaryPredictor.Entropy(model.Logits(hidden).detach()), left: 2);
        Near.Equal(-(spikes * p.log() + (1 - spikes) * (1 - p).log()).mean().item<float>(), penalty!.item<float>(), 1e-6);
        penalty.backward();
        Assert.All(model.modules().OfType<BoundaryPredictor>().Single().parameters(), parameter => Assert.NotNull(parameter.grad));
        Assert.Null(model.modules().OfType<Block>().Last().parameters().First().grad);    // the entropy is a target
    }

    private static BoundaryPredictor Predictor(Dictionary<string, Tensor> expected)
    {
        var predictor = new BoundaryPredictor(new LearnedBoundariesConfig { Hidden = 20 }, width: 8);
        using var _ = no_grad();
        foreach (var (name, parameter) in predictor.named_parameters()) parameter.copy_(expected[$"weight.{Its(name)}"]);
        return predictor;
    }

    private static string Its(string name) => name.Replace("up_proj", "boundary_predictor.0").Replace("down_proj", "boundary_predictor.2");
}
