using PublicApiGenerator;
using Transformer.Configuration;
using Transformer.Model;

namespace Transformer.Tests.PublicApi;

public sealed class PublicApiTests
{
    [Theory]
    [InlineData(typeof(ModelConfig))]
    [InlineData(typeof(TransformerModel))]
    public void Public_members_are_as_they_were(Type member) => Snapshot.Matches(
        $"{member.Assembly.GetName().Name}.txt",
        member.Assembly.GeneratePublicApi(new ApiGeneratorOptions { IncludeAssemblyAttributes = false }));

    [Fact]
    public void The_keys_of_a_gpt_2_checkpoint_are_as_they_were() => Snapshot.Matches("gpt2.keys.txt", Keys(Tiny.Config with
    {
        Attention = new SoftmaxAttentionConfig { Heads = 4, Bias = true },
        Position = new LearnedPositionConfig(),
        Mlp = new GeluTanhMlpConfig { Bias = true },
        Norm = new LayerNormConfig(),
    }));

    [Fact]
    public void The_keys_of_a_llama_checkpoint_are_as_they_were() => Snapshot.Matches("llama.keys.txt", Keys(Tiny.Config with
    {
        Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 2, QueryKeyNorm = true },
        TiedHead = false,
    }));

    [Fact]
    public void The_keys_of_a_gated_deltanet_checkpoint_are_as_they_were() =>
        Snapshot.Matches("gated_deltanet.keys.txt", Keys(Tiny.Models["gated_delta"]));

    // The state dictionary rather than the parameters: a buffer that becomes part of a checkpoint must show.
    private static string Keys(ModelConfig config)
    {
        using var model = new TransformerModel(config);
        return string.Join('\n', model.state_dict().Select(entry => $"{entry.Key} [{string.Join(", ", entry.Value.shape)}]"));
    }
}
