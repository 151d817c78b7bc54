using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Attention;
using static TorchSharp.torch;

namespace Transformer.Tests.Layers.Attention;

// B batch · T tokens · H heads · F feature width · E value width

/// <summary>The delta rule with beta up to 2 (Grazzi et al. 2024, arXiv:2411.12537): eigenvalues from -1 to 1.</summary>
public sealed class NegativeEigenvalueTests
{
    private delegate (Tensor Output, Tensor State) Form(Tensor q, Tensor k, Tensor v, Tensor? logDecay, Tensor? beta, Tensor? state);

    private static readonly Form[] Forms =
        [LinearRecurrence.Recurrent, LinearRecurrence.Explicit, Chunks(1), Chunks(4), Chunks(16), Chunks(64)];

    public NegativeEigenvalueTests() => manual_seed(1);

    [Theory]
    [InlineData("delta_narrow", 6e-5)]
    [InlineData("delta_wide", 6e-5)]
    [InlineData("delta_two", 1.5e-4)]
    [InlineData("gated_wide", 6e-5)]
    [InlineData("gated_two", 6e-5)]
    public void All_forms_give_the_reference_s_outputs_states_and_gradients(string file, double gradientTolerance)
    {
        using var scope = NewDisposeScope();
        var golden = Golden.Read($"delta-range/{file}.safetensors");
        var isGated = golden.ContainsKey("g");
        foreach (var form in Forms)
        {
            string[] names = isGated ? ["q", "k", "v", "g", "beta", "s0"] : ["q", "k", "v", "beta", "s0"];
            var leaves = names.ToDictionary(name => name, name => golden[name].clone().requires_grad_(true));
            Tensor Input(string name) => isGated ? leaves[name].transpose(1, 2) : leaves[name];                // to [B, H, T, ...]
            var (o, state) = form(
                Input("q") / Math.Sqrt(8), Input("k"), Input("v"), isGated ? Input("g").unsqueeze(-1) : null,
                Input("beta").unsqueeze(-1), leaves["s0"]);
            if (isGated) o = o.transpose(1, 2);
            Near.Equal(golden["out"], o, 1e-5, "outputs");
            Near.Equal(golden["state"], state, 2e-5, "state");
            ((o * golden["w_out"]).sum() + (state * golden["w_state"]).sum()).backward();
            foreach (var (name, leaf) in leaves)
                Near.Equal(golden[$"grad_{name}"], leaf.grad!, gradientTolerance, $"gradient of {name}");
        }
    }

    [Fact]
    public void A_recurrence_from_zero_gives_the_reference_s_outputs_and_states()
    {
        using var scope = NewDisposeScope();
        foreach (var file in (string[])["narrow", "wide", "two"])
        {
            var golden = Golden.Read($"delta-range/delta_{file}.safetensors");
            foreach (var form in Forms)
            {
                var (o, state) = form(golden["q"] / Math.Sqrt(8), golden["k"], golden["v"], null, golden["beta"].unsqueeze(-1), null);
                Near.Equal(golden["out_from_zero"], o, 1e-5, "outputs");
                Near.Equal(golden["state_from_zero"], state, 2e-5, "state");
            }
        }
    }

    [Fact]
    public void At_two_a_token_reflects_what_the_key_holds_and_twice_is_the_identity()
    {
        using var scope = NewDisposeScope();
        var golden = Golden.Read("delta-range/reflection.safetensors");
        var (k, start) = (golden["k"], golden["s0"]);
        var reflection = eye(8) - 2 * matmul(k[0, 0, 0].unsqueeze(1), k[0, 0, 0].unsqueeze(0));                 // I - 2 k k^T
        foreach (var form in Forms)
        {
            Tensor After(int tokens) =>
                form(k.narrow(2, 0, tokens), k.narrow(2, 0, tokens), zeros(1, 1, tokens, 6), null, full(1, 1, tokens, 1, 2f), start).State;
            for (var tokens = 1; tokens <= 4; tokens++)
                Near.Equal(golden["states"].narrow(0, tokens - 1, 1), After(tokens), 2e-6, $"after {tokens} tokens");
            Near.Equal(matmul(reflection, start), After(1), 2e-6, "reflection");
            Near.Equal(start, After(2), 2e-6, "identity");
        }
    }

    [Fact]
    public void The_sign_of_what_is_read_is_the_parity_of_the_ones_so_far()
    {
        using var scope = NewDisposeScope();
        var golden = Golden.Read("delta-range/parity.safetensors");
        foreach (var form in Forms)
        {
            var found = Signs(form, 2 * golden["bits"].to(float32));
            Near.Equal(golden["out"], found, 1e-5);
            Near.Equal(golden["parity"].to(float32), (found < 0).to(float32), 0);
        }
    }

    [Fact]
    public void Up_to_one_a_sign_never_changes()
    {
        using var scope = NewDisposeScope();
        foreach (var form in Forms) Assert.InRange(Signs(form, rand(4, 40)).min().item<float>(), -1e-6, 1);
    }

    [Fact]
    public void A_layer_reflects_where_its_projection_of_beta_is_large()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var layer = new LinearAttention(new() { Rule = new DeltaRule(), Heads = 1, NegativeEigenvalues = true }, width: 8);
        layer.Weight("v_proj.weight").zero_();
        layer.Weight("b_proj.weight").fill_(100);
        layer.Weight("k_proj.weight").mul_(100);                        // long before they are made unit vectors: no epsilon is seen
        using var state = (RecurrentState)layer.NewState(rows: 1, length: 8, CPU);
        state.Matrix.copy_(randn(1, 1, 8, 8));
        var before = state.Matrix.clone();
        layer.call(rand(1, 1, 8) + 1, new ForwardContext { CachedLengths = [0] }, state);
        var written = (state.Matrix - before)[0, 0];                                                            // -2 k (S^T k)^T
        Near.Equal(before.square().sum().item<float>(), state.Matrix.square().sum().item<float>(), 1e-3, "a reflection keeps lengths");
        Assert.Equal(1, linalg.matrix_rank(written, 1e-4).item<long>());
    }

    // S = 1, key and query 1 and v = 0: beta takes the sign along. [B, T] to [B, T].
    private static Tensor Signs(Form form, Tensor beta)
    {
        var one = ones(beta.shape[0], 1, beta.shape[1], 1);
        var start = ones(beta.shape[0], 1, 1, 1);
        return form(one, one, zeros_like(one), null, beta.unsqueeze(1).unsqueeze(-1), start).Output.squeeze(-1).squeeze(1);
    }

    private static Form Chunks(int chunk) =>
        (q, k, v, logDecay, beta, state) => LinearRecurrence.Chunkwise(q, k, v, logDecay, beta, state, chunk);
}
