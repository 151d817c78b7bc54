using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Attention;
using Transformer.Model.Hierarchy;
using static TorchSharp.torch;

namespace Transformer.Tests.Model.Hierarchy;

// B batch · T tokens · S groups, the null group included · C width · H heads · D head width

/// <summary>
/// PiotrNawrot/dynamic-pooling: our dynamic pooling between its blocks, which stand here since their projections have biases that ours have
/// not; tolerances are those of the goldens.
/// </summary>
public sealed class DynamicPoolingGoldenTests
{
    private const double Values = 4e-5, Losses = 3e-6;
    private const int Width = 24, Heads = 3;

    [Fact]
    public void Its_blocks_as_they_stand_here_are_the_reference_s_without_pooling()
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        using var assembled = new Assembled("none");
        Near.Equal(assembled.Expected["logits"], assembled.Logits(x => assembled.Block(x, 1)), Values);
    }

    [Theory]
    [InlineData("whitespaces")]
    [InlineData("fixed")]
    [InlineData("gumbel")]
    [InlineData("entropy")]
    public void All_that_passes_through_it_is_the_reference_s(string golden)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        using var assembled = new Assembled(golden);
        var logits = assembled.Logits();
        foreach (var name in (string[])["boundaries", "residual", "pooled", "pooled_normed", "valley", "upsampled_plus_residual"])
            Near.Equal(assembled.Expected[name], assembled.Taps[name], name == "boundaries" ? 0 : Values, name);
        Near.Equal(assembled.Expected["logits"], logits, Values, "logits");
        var losses = nn.functional.cross_entropy(
            logits.flatten(0, 1), assembled.Expected["targets"].flatten(), reduction: nn.Reduction.None).view(2, -1);
        Near.Equal(assembled.Expected["loss_per_token"], losses, Values, "losses of tokens");
        Near.Equal(assembled.Expected["loss"].item<float>(), losses.mean().item<float>(), Losses, "loss");
    }

    [Theory]
    [InlineData("whitespaces")]
    [InlineData("gumbel")]
    public void Gradients_are_the_reference_s(string golden)
    {
        using var scope = NewDisposeScope();
        using var assembled = new Assembled(golden);
        var loss = nn.functional.cross_entropy(assembled.Logits().flatten(0, 1), assembled.Expected["targets"].flatten());
        if (golden == "gumbel")
        {
            var prior = BoundaryPredictor.Prior(assembled.Drawn!, rate: 0.2);
            Near.Equal(assembled.Expected["boundary_loss"].item<float>(), prior.item<float>(), Losses, "boundary loss");
            loss = loss + prior;
        }
        loss.backward();
        var gradients = assembled.Gradients();
        var expected = assembled.Expected.Where(tensor => tensor.Key.StartsWith("grad.", StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(expected);
        foreach (var (name, gradient) in expected)
            Near.Equal(gradient.flatten(), gradients[name["grad.".Length..]].flatten(), Values, name);
    }

    [Fact]
    public void Boundaries_are_predicted_where_the_probability_is_above_one_half_and_spikes_teach_them()
    {
        using var scope = NewDisposeScope();
        using var assembled = new Assembled("entropy");
        var logits = assembled.Logits();
        var predicted = assembled.Predicted!;
        Near.Equal(assembled.Expected["soft"], predicted.Logits!.sigmoid(), Values, "probabilities");
        Near.Equal(assembled.Expected["hard"], predicted.Ends, 0, "boundaries");
        var spikes = BoundaryPredictor.Spikes(BoundaryPredictor.Entropy(logits), left: 2);
        Near.Equal(assembled.Expected["spikes"].t(), spikes, 0, "spikes");
        // The reference takes the sigmoid twice.
        var published = nn.functional.binary_cross_entropy_with_logits(predicted.Logits!.sigmoid(), spikes);
        Near.Equal(assembled.Expected["boundary_loss"].item<float>(), published.item<float>(), Losses, "boundary loss");
    }

    private sealed class Assembled : IDisposable
    {
        private readonly string golden;
        private readonly Dictionary<string, Tensor> weights;
        private readonly DynamicPooling pooling;

        public Assembled(string golden)
        {
            this.golden = golden;
            Expected = Golden.Read($"hierarchy/model/{golden}.safetensors");
            weights = Golden.Read("hierarchy/model/weights.safetensors");
            foreach (var weight in weights.Values) weight.requires_grad_();
            BoundaryConfig boundaries = golden switch
            {
                "gumbel" => new LearnedBoundariesConfig { Hidden = 40 },
                "entropy" => new EntropyBoundariesConfig { Hidden = 40 },
                _ => new WhiteSpaceBoundariesConfig { Tokens = [0] },
            };
            var config = new ModelConfig { Width = Width, ContextLength = 22, Layers = 0, Norm = new LayerNormConfig() };
            var hourglass = new HourglassConfig { Boundaries = boundaries, Layers = 1 };
            pooling = new DynamicPooling(config, new HourglassSpec("model.layers.0", hourglass, Layers: [], Share: 1));
            using (no_grad())
                foreach (var (name, parameter) in pooling.named_parameters()) parameter.copy_(weights[Its(name)].view(parameter.shape));

            var norm = (nn.Module<Tensor, Tensor>)pooling.named_children().Single(child => child.name == "norm").module;
            norm.register_forward_hook((_, groups, normed) =>
            {
                Tap("pooled", groups);
                return Tap("pooled_normed", normed);
            });
            pooling.Layers.register_forward_hook((_, groups, _, _) => Tap("valley", Block(groups, 1)));
        }

        public Dictionary<string, Tensor> Expected { get; }

        /// <summary>What passed through, in the reference's layout.</summary>
        public Dictionary<string, Tensor> Taps { get; } = [];

        /// <summary>The boundaries that were drawn, with their graph: [B, T].</summary>
        public Tensor? Drawn { get; private set; }

        /// <summary>What the predictor found; null where it was not asked.</summary>
        public TokenBoundaries? Predicted { get; private set; }

        /// <summary>By the reference's names.</summary>
        public Dictionary<string, Tensor> Gradients()
        {
            var all = weights.Where(weight => weight.Value.grad is not null)
                .ToDictionary(weight => weight.Key, weight => weight.Value.grad!);
            foreach (var (name, parameter) in pooling.named_parameters()) all[Its(name)] = parameter.grad!;
            return all;
        }

        public Tensor Logits() => Logits(Pool);

        /// <param name="middle">[B, T, C] to [B, T, C]</param>
        public Tensor Logits(Func<Tensor, Tensor> middle)
        {
            var ids = Expected["ids"];
            var x = weights["word_emb.weight"].index_select(0, ids.flatten()).view(ids.shape[0], ids.shape[1], Width);
            return nn.functional.linear(Block(middle(Block(x, 0)), 2), weights["final_cast.weight"], weights["final_cast.bias"]);
        }

        /// <summary>One of its blocks: post-norm, the attention of Transformer-XL with biases.</summary>
        /// <param name="x">[B, T, C]</param>
        /// <param name="layer">Which one.</param>
        /// <returns>[B, T, C]</returns>
        public Tensor Block(Tensor x, int layer)
        {
            var T = x.shape[1];
            var qkv = Project(x, $"{layer}.0.dec_attn.qkv_net").chunk(3, -1).Select(Split).ToArray();               // 3 x [B, H, T, D]
            var r = Split(Project(TransformerXlAttention.Distances(arange(T, float32), Width).unsqueeze(0), $"{layer}.0.dec_attn.r_net"));
            var ofKeys = matmul(qkv[0] + weights["r_w_bias"].unsqueeze(1), qkv[1].transpose(-2, -1));                // [B, H, T, T]
            var ofDistances = matmul(qkv[0] + weights["r_r_bias"].unsqueeze(1), r.transpose(-2, -1));
            var scores = (ofKeys + TransformerXlAttention.ByDistance(ofDistances, arange(T), arange(T))) / Math.Sqrt(Width / Heads);
            var hidden = ones(T, T, ScalarType.Bool).triu(1);
            var z = matmul(scores.masked_fill(hidden, double.NegativeInfinity).softmax(-1), qkv[2]);                // [B, H, T, D]
            x = Norm(x + Project(z.transpose(1, 2).flatten(2), $"{layer}.0.dec_attn.o_net"), $"{layer}.0.dec_attn");
            var up = nn.functional.gelu(Project(x, $"{layer}.0.pos_ff.CoreNet.0"));
            return Norm(x + Project(up, $"{layer}.0.pos_ff.CoreNet.3"), $"{layer}.0.pos_ff");
        }

        public void Dispose()
        {
            Predicted?.Dispose();
            pooling.Dispose();
        }

        private Tensor Pool(Tensor x)
        {
            Tap("residual", x);
            var context = ForwardContext.For(2, (int)x.shape[1], null, null, rotary: null, contextLength: 22, CPU);
            return Tap("upsampled_plus_residual", golden switch
            {
                "gumbel" => Draw(x, context),
                "fixed" => pooling.Whole(x, Taps["boundaries"] = Expected["boundaries"], context),
                _ => Find(x, context),
            });
        }

        private Tensor Draw(Tensor x, ForwardContext context)
        {
            var logits = pooling.modules().OfType<BoundaryPredictor>().Single().call(x);
            Drawn = BoundaryPredictor.Draw(logits, Expected["uniform"], temperature: 0.5);
            Taps["boundaries"] = Drawn;
            return pooling.Whole(x, Drawn, context);
        }

        private Tensor Find(Tensor x, ForwardContext context)
        {
            var found = new List<TokenBoundaries>();
            var y = pooling.call(x, context with { Ids = Expected["ids"], Boundaries = found });
            Predicted = found.Single();
            Taps["boundaries"] = Predicted.Ends;
            return y;
        }

        private Tensor Tap(string name, Tensor x)
        {
            Taps[name] = x.detach().transpose(0, 1).clone().DetachFromDisposeScope();    // the scope is that of a pass
            return x;
        }

        private Tensor Project(Tensor x, string name) =>
            nn.functional.linear(x, weights[$"layers.{name}.weight"], weights[$"layers.{name}.bias"]);

        private Tensor Norm(Tensor x, string name) => nn.functional.layer_norm(
            x, [Width], weights[$"layers.{name}.layer_norm.weight"], weights[$"layers.{name}.layer_norm.bias"]);

        private static Tensor Split(Tensor x) => x.unflatten(2, [Heads, Width / Heads]).transpose(1, 2);

        private static string Its(string name) => name
            .Replace("boundaries.up_proj", "boundary_predictor.boundary_predictor.0")
            .Replace("boundaries.down_proj", "boundary_predictor.boundary_predictor.2")
            .Replace("norm.", "down_ln.");
    }
}
