using Transformer.Configuration;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Model;

public sealed class TransformerModelTests
{
    // With a small base, so that the second pair of a head rotates visibly within a context of twelve.
    private static readonly RotaryPositionConfig FromFourTokensOn = new()
    {
        Theta = 10,
        Scaling = new DynamicNtkScalingConfig { Factor = 4, OriginalLength = 4 }
    };

    public TransformerModelTests() => manual_seed(1);

    public static TheoryData<string> Positions => [.. Tiny.Positions.Keys];

    public static TheoryData<string> Models => [.. Tiny.Models.Keys];

    // Those of segments are read by SegmentedInferenceModel, whose tests are its own.
    public static TheoryData<string> Whole => [.. Tiny.Whole];

    public static TheoryData<string, string, string> Kinds => new(
        from mlp in Tiny.Mlps.Keys from norm in Tiny.Norms.Keys from position in Tiny.Positions.Keys select (mlp, norm, position));

    public static TheoryData<string> Deep => [.. Tiny.Deep.Keys];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Logits_have_no_gradient_from_later_tokens(string mlp, string norm, string position) => EarlierTokensOnly(
        Tiny.Config with { Mlp = Tiny.Mlps[mlp], Norm = Tiny.Norms[norm], Position = Tiny.Positions[position] }, ofAll: true);

    [Theory]
    [MemberData(nameof(Deep))]
    public void Logits_have_no_gradient_from_later_tokens_whatever_the_residual(string kind) =>
        EarlierTokensOnly(Tiny.Deep[kind], ofAll: true);

    [Theory]
    [MemberData(nameof(Models))]
    public void Logits_have_no_gradient_from_later_tokens_whatever_the_mixer(string kind) =>
        EarlierTokensOnly(Tiny.Models[kind], ofAll: false);

    // A window hides early tokens, so that of those only a token's own is sure to count.
    private static void EarlierTokensOnly(ModelConfig config, bool ofAll)
    {
        // a tied head's gradient reaches every embedding
        using var model = Tiny.Stir(new TransformerModel(config with { TiedHead = false }));
        var embedding = model.Weight("model.embed_tokens.weight");
        for (var t = 0; t < 6; t++)
        {
            embedding.grad = zeros_like(embedding);
            model.call(arange(6).unsqueeze(0), null)[0, t].square().sum().backward();    // each token has an embedding of its own
            var sizes = embedding.grad.abs().sum(-1).data<float>().ToArray();
            Assert.All(sizes[(ofAll ? 0 : t)..(t + 1)], size => Assert.NotEqual(0, size));
            Assert.All(sizes[(t + 1)..], size => Assert.Equal(0, size));
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Changing_a_token_leaves_earlier_logits_unchanged(string kind)
    {
        using var _ = no_grad();
        using var model = Tiny.Model(kind);
        var ids = Tiny.Ids(2, 10);
        var changed = ids.clone();
        changed[.., 6] = (changed[.., 6] + 1) % 13;
        var (before, after) = (model.call(ids, null), model.call(changed, null));
        // experts work on other groups of tokens, which rounds differently
        Near.Equal(before.narrow(1, 0, 6), after.narrow(1, 0, 6), 1e-5);
        Assert.True(Near.Distance(before[.., 6], after[.., 6]) > 1e-3);
    }

    [Theory]
    [MemberData(nameof(Whole))]
    public void Cached_passes_equal_the_full_pass_wherever_the_text_is_split(string kind)
    {
        using var _ = no_grad();
        using var model = Tiny.Model(kind);
        var ids = Tiny.Ids(2, 8);
        var full = model.call(ids, null);
        for (var split = 1; split < 8; split++)
        {
            using var state = model.NewState(rows: 2);
            var parts = (int[])[split, 1, 8 - split - 1];
            var logits = ids.split(parts.Where(part => part > 0).Select(part => (long)part).ToArray(), 1)
                .Select(part => model.call(part, state)).ToArray();
            Near.Equal(full, cat(logits, 1), Tolerance(kind), $"split at {split}");
        }
    }

    [Theory]
    [MemberData(nameof(Whole))]
    public void Rows_of_unequal_length_are_continued_as_if_each_were_alone(string kind)
    {
        using var _ = no_grad();
        using var model = Tiny.Model(kind);
        var ids = Tiny.Ids(2, 9);
        using var state = model.NewState(rows: 2);
        model.Hidden(ids.narrow(1, 0, 6), state, [6, 3]);    // the short row's last three are padding
        var logits = model.Logits(model.Hidden(stack([ids[0].narrow(0, 6, 3), ids[1].narrow(0, 3, 3)]), state, [3, 2]));
        Near.Equal(model.call(ids, null)[0].narrow(0, 6, 3), logits[0], Tolerance(kind), "the long row");
        Near.Equal(model.call(ids, null)[1].narrow(0, 3, 2), logits[1].narrow(0, 0, 2), Tolerance(kind), "the short row");
        Assert.Equal([9, 5], state.Lengths);
        var last = model.Logits(model.Hidden(ids.narrow(1, 5, 1), state, [0, 1]));
        Near.Equal(model.call(ids, null)[1, 5], last[1, 0], Tolerance(kind), "the short row beside one that has ended");
        Assert.Equal([9, 6], state.Lengths);
    }

    // One block: deeper ones would keep what earlier passes, over shorter sequences, computed for the first tokens.
    [Fact]
    public void Past_the_original_length_dynamic_ntk_continues_a_text_as_the_full_pass_of_its_length_does()
    {
        using var _ = no_grad();
        using var model = new TransformerModel(Tiny.Config with { Layers = 1, Position = FromFourTokensOn });
        using var plain = new TransformerModel(model.Config with { Position = FromFourTokensOn with { Scaling = null } });
        Tiny.CopyWeights(model, plain);
        var ids = Tiny.Ids(2, 12);
        using var state = model.NewState(rows: 2);
        long start = 0;
        foreach (var count in (long[])[3, 1, 1, 4, 1, 2])
        {
            var full = model.call(ids.narrow(1, 0, start + count), null);
            Near.Equal(full.narrow(1, start, count), model.call(ids.narrow(1, start, count), state), 1e-5, $"{count} tokens after {start}");
            var unscaled = plain.call(ids.narrow(1, 0, start + count), null);
            Assert.Equal(start + count > 4, Near.Distance(unscaled, full) > 1e-3);
            start += count;
        }
    }

    [Fact]
    public void Rows_of_dynamic_ntk_are_scaled_by_their_own_lengths()
    {
        using var _ = no_grad();
        using var model = new TransformerModel(Tiny.Config with { Layers = 1, Position = FromFourTokensOn });
        var ids = Tiny.Ids(2, 9);
        using var state = model.NewState(rows: 2);
        Tensor Full(int row, int tokens) => model.call(ids[row].narrow(0, 0, tokens).unsqueeze(0), null)[0];

        var first = model.Logits(model.Hidden(ids.narrow(1, 0, 6), state, [6, 3]));
        Near.Equal(Full(0, 6), first[0], 1e-5, "the long row");
        Near.Equal(Full(1, 3), first[1].narrow(0, 0, 3), 1e-5, "the short row");
        var next = model.Logits(model.Hidden(stack([ids[0].narrow(0, 6, 3), ids[1].narrow(0, 3, 3)]), state, [3, 2]));
        Near.Equal(Full(0, 9).narrow(0, 6, 3), next[0], 1e-5, "the long row goes on");
        Near.Equal(Full(1, 5).narrow(0, 3, 2), next[1].narrow(0, 0, 2), 1e-5, "the short row goes on");
    }

    [Theory]
    [InlineData("sinusoidal", "model.embed_positions.table")]
    [InlineData("alibi", "model.position_bias.slopes")]
    [InlineData("t5", "model.position_bias.buckets")]
    public void Fixed_tables_of_positions_move_to_the_model_s_device_and_are_no_weights(string position, string table)
    {
        using var model = new TransformerModel(Tiny.Config with { Position = Tiny.Positions[position] }, new Device("meta"), draw: false);
        Assert.Equal("meta", Assert.Single(model.named_buffers(), buffer => buffer.name == table).buffer.device.ToString());
        Assert.DoesNotContain(model.Weights, weight => weight.Name == table);
    }

    [Fact]
    public void A_cache_takes_two_vectors_a_layer_and_key_value_head_and_token()
    {
        using var model = new TransformerModel(Tiny.Config);
        using var state = model.NewState(rows: 1, capacity: 7);
        Assert.Equal(2 * 2 * 2 * 4 * 7 * sizeof(float), state.Bytes);    // 2 L G D T, four bytes each
    }

    [Theory]
    [MemberData(nameof(Positions))]
    public void Tokens_past_the_context_are_an_error(string position)
    {
        using var model = new TransformerModel(Tiny.Config with { Position = Tiny.Positions[position] });
        Assert.Contains(
            "13 tokens do not fit the context length of 12",
            Assert.Throws<InputException>(() => model.call(Tiny.Ids(1, 13), null)).Message);

        using var state = model.NewState(rows: 1);
        using var _ = no_grad();
        model.call(Tiny.Ids(1, 12), state);
        Assert.Throws<InputException>(() => model.call(Tiny.Ids(1, 1), state));
    }

    [Fact]
    public void A_state_of_other_rows_than_the_ids_is_an_error()
    {
        using var model = new TransformerModel(Tiny.Config);
        using var state = model.NewState(rows: 1);
        using var _ = no_grad();
        Assert.Throws<ArgumentException>(() => model.call(Tiny.Ids(2, 3), state));
    }

    [Theory]
    [InlineData("t5")]
    [InlineData("relative")]
    public void The_table_of_a_bias_is_one_for_all_blocks_and_learns_from_each(string position)
    {
        using var model = new TransformerModel(Tiny.Config with { Position = Tiny.Positions[position] });
        var table = Assert.Single(model.named_parameters(), parameter => parameter.name.StartsWith("model.position_bias.")).parameter;
        var ids = Tiny.Ids(2, 9);
        LanguageModelLoss.CrossEntropy(model.call(ids, null), ids).backward();
        // every distance or bucket up to 8
        Assert.All(table.grad!.abs().sum(-1).data<float>().ToArray(), size => Assert.NotEqual(0, size));
    }

    [Fact]
    public void A_tied_head_adds_both_uses_to_one_gradient()
    {
        using var tied = new TransformerModel(Tiny.Config);
        using var untied = new TransformerModel(Tiny.Config with { TiedHead = false });
        Tiny.CopyWeights(tied, untied);
        using (no_grad()) untied.Weight("lm_head.weight").copy_(tied.Weight("model.embed_tokens.weight"));
        var ids = Tiny.Ids(2, 5);
        foreach (var model in (TransformerModel[])[tied, untied]) LanguageModelLoss.CrossEntropy(model.call(ids, null), ids).backward();
        var sum = untied.Weight("model.embed_tokens.weight").grad! + untied.Weight("lm_head.weight").grad!;
        Near.Equal(sum, tied.Weight("model.embed_tokens.weight").grad!, 1e-5);
    }

    [Fact]
    public void Dropout_drops_in_training_only()
    {
        using var plain = new TransformerModel(Tiny.Config);
        using var dropping = new TransformerModel(
            Tiny.Config with { Dropout = 0.5, Attention = new SoftmaxAttentionConfig { Heads = 4, KvHeads = 2, Dropout = 0.5 } });
        Tiny.CopyWeights(plain, dropping);
        var ids = Tiny.Ids(2, 5);
        Assert.True(Near.Distance(plain.call(ids, null), dropping.call(ids, null)) > 1e-3);
        dropping.eval();
        Near.Equal(plain.call(ids, null), dropping.call(ids, null), 0);
    }

    [Fact]
    public void Under_mup_scores_are_divided_by_the_head_width()
    {
        using var plain = new TransformerModel(Tiny.Config);
        using var mup = new TransformerModel(Tiny.Config with { Initialization = new MupInitializationConfig { BaseWidth = 16 } });
        // D = 4
        using (no_grad()) foreach (var layer in (int[])[0, 1]) plain.Weight($"model.layers.{layer}.self_attn.q_proj.weight").mul_(0.5);
        Tiny.CopyWeights(plain, mup);
        using (no_grad()) foreach (var layer in (int[])[0, 1]) mup.Weight($"model.layers.{layer}.self_attn.q_proj.weight").mul_(2);
        var ids = Tiny.Ids(2, 5);
        Near.Equal(plain.call(ids, null), mup.call(ids, null), 1e-5);
    }

    // Chunks and steps of a recurrence round differently, and the norm after it scales small outputs up.
    private static double Tolerance(string kind) => Tiny.Linear.ContainsKey(kind) || kind == "hybrid" ? 1e-4 : 1e-5;
}
