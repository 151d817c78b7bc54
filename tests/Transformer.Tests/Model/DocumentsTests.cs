using Transformer.Configuration;
using Transformer.Model;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Tests.Model;

// B rows · T tokens · C width

/// <summary>Documents of one row, which see what stands before all of them and nothing of each other.</summary>
public sealed class DocumentsTests
{
    private const double Rounding = 2e-5;

    // Two tokens that all read, then documents of four, one and three tokens; a row of two documents without a shared part.
    private static readonly int[] Documents = [0, 0, 1, 1, 1, 1, 2, 3, 3, 3, /**/ 1, 1, 1, 1, 1, 1, 2, 2, 2, 2];
    private static readonly (int Row, int[] Places)[] Alone =
        [(0, [0, 1, 2, 3, 4, 5]), (0, [0, 1, 6]), (0, [0, 1, 7, 8, 9]), (1, [0, 1, 2, 3, 4, 5]), (1, [6, 7, 8, 9])];

    public DocumentsTests() => manual_seed(11);

    public static TheoryData<string> Able => [.. Tiny.Models.Where(model => model.Value.SeparatesDocuments).Select(model => model.Key)];

    public static TheoryData<string> Unable => [.. Tiny.Models.Where(model => !model.Value.SeparatesDocuments).Select(model => model.Key)];

    [Theory]
    [MemberData(nameof(Able))]
    public void A_row_of_documents_is_the_documents_one_by_one(string name)
    {
        using var scope = NewDisposeScope();
        using var model = Tiny.Model(name);
        model.eval();
        var ids = Tiny.Ids(2, 10);
        var hidden = model.HiddenAndPenalty(ids, documents: Documents).Hidden;
        var weights = randn_like(hidden);
        var sum = zeros([]);
        foreach (var (row, places) in Alone)
        {
            var own = places.Where(place => Documents[row * 10 + place] != 0).Select(place => (long)place).ToArray();
            var whole = model.HiddenAndPenalty(ids[row][tensor(Array.ConvertAll(places, place => (long)place))].unsqueeze(0)).Hidden[0];
            var alone = whole.narrow(0, places.Length - own.Length, own.Length);
            Near.Equal(alone, hidden[row][tensor(own)], Rounding, $"row {row}, places {string.Join(", ", own)}");
            sum = sum + (alone * weights[row][tensor(own)]).sum();
        }
        sum.backward();
        var expected = Gradients(model);
        var counted = tensor(Documents.Select(document => document == 0 ? 0f : 1f).ToArray(), 2, 10, 1);
        (hidden * weights * counted).sum().backward();
        foreach (var (parameter, gradient) in Gradients(model))
            Near.Equal(expected[parameter], gradient, 1e-4 * (1 + gradient.abs().max().item<float>()), parameter);
    }

    [Theory]
    [MemberData(nameof(Able))]
    public void A_document_changes_nothing_of_another_and_what_they_share_changes_all(string name)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        using var model = Tiny.Model(name);
        var ids = Tiny.Ids(1, 10);
        var before = Hidden(ids);
        var (third, first) = (Hidden(Changed(3)), Hidden(Changed(0)));
        var others = tensor(new long[] { 0, 1, 2, 6, 7, 8, 9 });
        Near.Equal(before[others], third[others], 0);
        Assert.True(Near.Distance(before[4], third[4]) > 1e-3, "a document sees itself");
        for (var place = 0; place < 10; place++) Assert.True(Near.Distance(before[place], first[place]) > 1e-3, $"place {place}");

        Tensor Hidden(Tensor ids) => model.Hidden(ids, documents: Documents[..10])[0];

        Tensor Changed(int place)
        {
            var changed = ids.clone();
            changed[0, place] = (ids[0, place] + 1) % Tiny.Config.VocabularySize!.Value;
            return changed;
        }
    }

    [Theory]
    [MemberData(nameof(Able))]
    public void Recomputed_blocks_give_the_same_gradients(string name)
    {
        using var scope = NewDisposeScope();
        using var model = Tiny.Model(name);
        model.eval();
        var (ids, weights) = (Tiny.Ids(2, 10), randn(Tiny.Config.Width));
        (model.HiddenAndPenalty(ids, documents: Documents).Hidden * weights).sum().backward();
        var kept = Gradients(model);
        using var recomputation = new Recomputation();
        (model.HiddenAndPenalty(ids, recomputation, documents: Documents).Hidden * weights).sum().backward();
        recomputation.ThrowIfFailed();
        foreach (var (parameter, gradient) in Gradients(model))
            Near.Equal(kept[parameter], gradient, 1e-5 * (1 + gradient.abs().max().item<float>()), parameter);
    }

    [Theory]
    [MemberData(nameof(Unable))]
    public void A_model_that_cannot_keep_documents_apart_does_not_pretend_to(string name)
    {
        using var scope = NewDisposeScope();
        using var model = Tiny.Model(name);
        if (model.Config.HasSegments) return;    // rows of segments have no documents
        Assert.Throws<InvalidOperationException>(() => model.Hidden(Tiny.Ids(2, 10), documents: Documents));
    }

    [Fact]
    public void Only_each_document_has_to_fit_the_context()
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        using var model = Tiny.Model(Able.First());
        var ids = Tiny.Ids(1, 24);
        model.Hidden(ids, documents: [.. Enumerable.Range(0, 24).Select(place => place / 12 + 1)]);
        var error = Assert.Throws<InputException>(
            () => model.Hidden(ids, documents: [.. Enumerable.Range(0, 24).Select(place => place / 13 + 1)]));
        Assert.Contains("13 tokens", error.Message, StringComparison.Ordinal);
    }

    private static Dictionary<string, Tensor> Gradients(TransformerModel model)
    {
        var gradients = model.Weights.Where(weight => weight.Value.grad is not null)
            .ToDictionary(weight => weight.Name, weight => weight.Value.grad!.clone());
        foreach (var (_, value) in model.Weights) value.grad = null;
        return gradients;
    }
}
