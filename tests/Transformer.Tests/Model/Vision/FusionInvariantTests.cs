using Transformer.Configuration;
using Transformer.Model;
using Transformer.Model.Vision;
using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Tests.Model.Vision;

// B batch · T tokens · I pictures · N vectors of a picture · C width

/// <summary>What must hold exactly of any model that reads pictures.</summary>
public sealed class FusionInvariantTests
{
    private const double Rounding = 2e-5;

    public FusionInvariantTests() => manual_seed(3);

    public static TheoryData<string> Models => [.. Tiny.Seeing.Keys];

    public static TheoryData<string> Gated => [.. Tiny.Seeing.Keys.Where(name => name.StartsWith("gated", StringComparison.Ordinal))];

    [Theory]
    [MemberData(nameof(Models))]
    public void Without_pictures_it_is_the_text_model_bit_for_bit(string name)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        using var model = Model(name);
        using var text = new TransformerModel(Tiny.Seeing[name] with { Vision = null });
        Tiny.CopyWeights(model, text);
        var ids = Tiny.Ids(3, 9);
        var expected = text.forward(ids, null);
        if (Tiny.Seeing[name].Vision is PrefixVisionConfig) Near.Equal(expected, model.forward(ids, null), 0);
        else Near.Equal(expected, WithClosedGates(model).forward(ids, null), 0);    // the MLP behind the attention has a gate of its own
    }

    [Theory]
    [MemberData(nameof(Gated))]
    public void Closed_gates_are_the_text_model_bit_for_bit_whatever_is_shown(string name)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        using var model = WithClosedGates(Model(name));
        var ids = Row(name, 0, pictures: 2).unsqueeze(0);
        var (first, second) = (model.Logits(model.Hidden(ids, pictures: Shown(model, [0, 1]))),
            model.Logits(model.Hidden(ids, pictures: Shown(model, [2, 2]))));
        Near.Equal(first, second, 0);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void A_batch_of_rows_with_none_one_and_several_pictures_is_the_rows_one_by_one(string name)
    {
        using var scope = NewDisposeScope();
        using var model = Model(name);
        int[] counts = [0, 1, 2, 1];
        var rows = counts.Select((count, row) => Row(name, row, count)).ToArray();
        var longest = rows.Max(row => row.shape[0]);
        var batch = stack([.. rows.Select(row => nn.functional.pad(row, [0, longest - row.shape[0]]))]);
        int[] of = [2, 0, 1, 2];
        var hidden = model.Hidden(batch, pictures: Shown(model, of));
        var weights = randn_like(hidden);
        var (sum, first) = (zeros([]), 0);
        foreach (var (row, count) in counts.Index())
        {
            var pictures = count == 0 ? null : Shown(model, of[first..(first + count)]);
            first += count;
            var alone = model.Hidden(rows[row].unsqueeze(0), pictures: pictures)[0];
            var length = alone.shape[0];
            Near.Equal(alone, hidden[row].narrow(0, 0, length), Rounding, $"row {row}");
            sum = sum + (alone * weights[row].narrow(0, 0, length)).sum();
        }
        sum.backward();
        var expected = model.Weights.ToDictionary(weight => weight.Name, weight => weight.Value.grad?.clone());
        foreach (var (_, value) in model.Weights) value.grad = null;
        var mask = stack([.. rows.Select(row => nn.functional.pad(ones(row.shape[0]), [0, longest - row.shape[0]]))]).unsqueeze(-1);
        (model.Hidden(batch, pictures: Shown(model, of)) * weights * mask).sum().backward();
        foreach (var (parameter, value) in model.Weights)
        {
            if (expected[parameter] is not { } gradient) continue;
            Near.Equal(gradient, value.grad!, 1e-4 * (1 + gradient.abs().max().item<float>()), parameter);
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void A_picture_changes_nothing_before_its_place(string name)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        using var model = Model(name);
        var ids = Row(name, 1, pictures: 2);
        var (before, after) = (Hidden([0, 1]), Hidden([0, 2]));
        var marks = (ids < 0).to(int64).cumsum(0);
        var second = (marks <= Tiny.Seeing[name].Vision!.Placeholders).sum().item<long>();
        Near.Equal(before.narrow(0, 0, second), after.narrow(0, 0, second), 0, "before the second picture");
        Assert.True(Near.Distance(before.narrow(0, second, ids.shape[0] - second), after.narrow(0, second, ids.shape[0] - second)) > 1e-3);

        Tensor Hidden(int[] of) => model.Hidden(ids.unsqueeze(0), pictures: Shown(model, of))[0];
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Gradients_reach_the_patches(string name)
    {
        using var scope = NewDisposeScope();
        using var model = Model(name);
        var hidden = model.Hidden(Row(name, 0, pictures: 1).unsqueeze(0), pictures: Shown(model, [0]));
        (hidden * randn_like(hidden)).sum().backward();
        var first = Tiny.Seeing[name].Vision!.Stem is null
            ? "model.vision.patch_embedding.weight"
            : "model.vision.stem.convolutions.0.weight";
        Assert.True(model.Weight(first).grad!.abs().max().item<float>() > 1e-3);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Recomputed_blocks_give_the_same_gradients(string name)
    {
        using var scope = NewDisposeScope();
        using var model = Model(name);
        var ids = Row(name, 2, pictures: 2).unsqueeze(0);
        model.eval();    // in training, boundaries are drawn anew
        var (pixels, weights) = (Pixels(), randn(Tiny.Config.Width));
        var kept = Gradients(null);
        using var recomputation = new Transformer.Native.Recomputation();
        var again = Gradients(recomputation);
        recomputation.ThrowIfFailed();
        foreach (var (parameter, gradient) in kept)
            Near.Equal(gradient, again[parameter], 1e-5 * (1 + gradient.abs().max().item<float>()), parameter);

        Dictionary<string, Tensor> Gradients(Transformer.Native.Recomputation? how)
        {
            foreach (var (_, value) in model.Weights) value.grad = null;
            var pictures = new PictureVectors(model.EncodePictures(pixels, how), [0, 1]);
            (model.HiddenAndPenalty(ids, how, pictures: pictures).Hidden * weights).sum().backward();
            return model.Weights.Where(weight => weight.Value.grad is not null)
                .ToDictionary(weight => weight.Name, weight => weight.Value.grad!.clone());
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Products_of_bf16_give_nearly_the_same(string name)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        using var model = Model(name);
        var ids = Row(name, 0, pictures: 1).unsqueeze(0);
        var expected = model.Hidden(ids, pictures: Shown(model, [0]));
        model.Precision = Precision.Bf16;
        var found = model.Hidden(ids, pictures: Shown(model, [0]));
        Assert.Equal(float32, found.dtype);
        Assert.InRange(Near.Distance(expected, found) / expected.abs().max().item<float>(), 1e-6, 0.1);
    }

    [Theory]
    [InlineData("prefix", -1)]
    [InlineData("prefix", 1)]
    [InlineData("gated_cross_attention", 1)]
    public void Placeholders_and_pictures_must_agree_in_each_row(string name, int more)
    {
        using var scope = NewDisposeScope();
        using var model = Model(name);
        var count = Tiny.Seeing[name].Vision!.Placeholders + more;
        // as many too few in one row as there are too many in the other
        var ids = stack([.. new[] { count, 2 * Tiny.Seeing[name].Vision!.Placeholders - count }
            .Select(places => cat([full([places], -1L), zeros(10 - places, int64)]))]);
        var pictures = Shown(model, name == "prefix" ? [0, 1] : [0, 1, 2]);
        var refused = Assert.Throws<ArgumentException>(() => model.Hidden(ids, pictures: pictures));
        Assert.Contains("placeholders", refused.Message);
    }

    private static TransformerModel Model(string name) => Tiny.Stir(new TransformerModel(Tiny.Seeing[name]));

    private static TransformerModel WithClosedGates(TransformerModel model)
    {
        using var _ = no_grad();
        foreach (var (name, value) in model.Weights)
            if (name.EndsWith(".gate", StringComparison.Ordinal)) value.zero_();
        return model;
    }

    // The same three pictures for every row of a test.
    private static Tensor Pixels()
    {
        using var generator = new Generator(5);
        return randn(3, 3, 8, 8, generator: generator);
    }

    private static PictureVectors Shown(TransformerModel model, int[] of) => new(model.EncodePictures(Pixels()), of);

    // Words, and pictures between them.
    private static Tensor Row(string name, int row, int pictures)
    {
        var places = Tiny.Seeing[name].Vision!.Placeholders;
        var parts = new List<long> { 1 + row };
        for (var picture = 0; picture < pictures; picture++)
        {
            parts.AddRange(Enumerable.Repeat(-1L, places));
            parts.Add(3 + row + picture);
        }
        parts.Add(7);
        return tensor(parts.ToArray());
    }
}
