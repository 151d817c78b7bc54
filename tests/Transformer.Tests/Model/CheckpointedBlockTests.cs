using Transformer.Configuration;
using Transformer.Model;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Tests.Model;

public sealed class CheckpointedBlockTests
{
    public static TheoryData<string> Models => [.. Tiny.Models.Keys];

    [Theory, MemberData(nameof(Models))]
    public void Gradients_are_to_the_bit_those_of_blocks_that_keep_everything(string kind) => AreToTheBit(Tiny.Models[kind]);

    [Theory, MemberData(nameof(Models))]
    public void Gradients_are_to_the_bit_those_of_blocks_that_keep_everything_with_dropout(string kind) =>
        AreToTheBit(WithDropout(Tiny.Models[kind]));

    private static void AreToTheBit(ModelConfig config)
    {
        manual_seed(1);
        using var model = new TransformerModel(config);
        Tiny.Stir(model);
        using var ids = Tiny.Ids(2, 9);
        var expected = Gradients(model, ids, recomputation: null);
        var found = Gradients(model, ids, new Recomputation());

        Assert.Equal(expected.Loss, found.Loss);
        Assert.Equal(expected.Random, found.Random);
        foreach (var (name, gradient) in expected.ByName) Near.Equal(gradient, found.ByName[name], 0, name);
        Assert.Contains(expected.ByName.Values, gradient => gradient.abs().max().item<float>() > 0);
    }

    [Fact]
    public void Blocks_above_frozen_embeddings_have_their_gradients()
    {
        manual_seed(1);
        using var model = new TransformerModel(Tiny.Config with { TiedHead = false });
        model.Weight("model.embed_tokens.weight").requires_grad_(false);
        using var ids = Tiny.Ids(2, 9);
        var expected = Gradients(model, ids, recomputation: null).ByName;
        var found = Gradients(model, ids, new Recomputation()).ByName;
        Assert.Equal(expected.Keys, found.Keys);
        foreach (var (name, gradient) in expected) Near.Equal(gradient, found[name], 0, name);
    }

    [Fact]
    public void What_goes_wrong_when_a_block_is_computed_again_is_thrown_after_the_backward_pass()
    {
        manual_seed(1);
        using var scope = NewDisposeScope();
        using var model = new TransformerModel(Tiny.Config);
        var calls = 0;
        model.modules().OfType<Block>().First().register_forward_pre_hook((block, stream, context) =>
            ++calls == 2 ? throw new InvalidOperationException("out of memory, say") : null);
        using var recomputation = new Recomputation();
        var (hidden, _) = model.HiddenAndPenalty(Tiny.Ids(2, 9), recomputation);
        var before = get_rng_state();
        hidden.sum().backward();
        Assert.Equal("out of memory, say", Assert.Throws<InvalidOperationException>(recomputation.ThrowIfFailed).Message);
        Near.Equal(before, get_rng_state(), 0, "random state");
    }

    private static ModelConfig WithDropout(ModelConfig config) => config with
    {
        Dropout = 0.2,
        Attention = config.Attention is SoftmaxAttentionConfig softmax
            && softmax.Window is FullWindowConfig ? softmax with { Dropout = 0.1 } : config.Attention,
    };

    private static (double Loss, Dictionary<string, Tensor> ByName, string Random) Gradients(
        TransformerModel model, Tensor ids, Recomputation? recomputation)
    {
        using var scope = NewDisposeScope();
        manual_seed(2);
        model.train();
        model.zero_grad();
        var (hidden, penalty) = model.HiddenAndPenalty(ids, recomputation);
        var total = model.Loss(hidden, ids.roll(1, 1), zLoss: 1e-3).Total;
        if (penalty is not null) total = total + penalty;
        total.backward();
        recomputation?.ThrowIfFailed();
        var gradients = model.named_parameters().Where(parameter => parameter.parameter.grad is not null)
            .ToDictionary(parameter => parameter.name, parameter => parameter.parameter.grad!.clone().DetachFromDisposeScope());
        return (total.item<float>(), gradients, Convert.ToHexString([.. get_rng_state().data<byte>()]));
    }
}
