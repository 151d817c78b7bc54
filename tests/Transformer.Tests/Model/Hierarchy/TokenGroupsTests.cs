using Transformer.Model.Hierarchy;
using static TorchSharp.torch;

namespace Transformer.Tests.Model.Hierarchy;

// B batch · T tokens · S groups, the null group included · C width

/// <summary>PiotrNawrot/dynamic-pooling and what is exact; tolerances are those of the goldens.</summary>
public sealed class TokenGroupsTests
{
    private const double Values = 1e-5;

    public TokenGroupsTests() => manual_seed(1);

    public static TheoryData<string> Cases =>
    [
        "white_space", "every_2", "every_5", "all", "none", "first_only", "last_only", "adjacent", "ragged", "ragged_with_none",
    ];

    [Theory, MemberData(nameof(Cases))]
    public void Groups_and_what_tokens_receive_are_the_reference_s(string golden)
    {
        using var scope = NewDisposeScope();
        var read = new Read(golden);
        Near.Equal(read["pooled"], Pooled(read.X, read.Ends, read.Null).transpose(0, 1), Values, "pooled");
        Near.Equal(read["upsampled"], Upsampled(read.Processed, read.Ends).transpose(0, 1), Values, "upsampled");
        Near.Equal(read["joint"], Upsampled(Pooled(read.X, read.Ends, read.Null), read.Ends).transpose(0, 1), Values, "joint");
        Near.Equal(read["row_received"], read.Ends.cumsum(1), 0, "which vector a token receives");
        Near.Equal(read["group_of_token"], read.Ends.cumsum(1) - read.Ends, 0, "which group a token is of");
    }

    [Theory, MemberData(nameof(Cases))]
    public void Gradients_are_the_reference_s_those_of_boundaries_too(string golden)
    {
        using var scope = NewDisposeScope();
        var read = new Read(golden);
        (read["w_pooled"] * Pooled(read.X, read.Ends, read.Null).transpose(0, 1)).sum().backward();
        CompareInputs("pooled");

        read = new Read(golden);
        (read["w_joint"] * Upsampled(Pooled(read.X, read.Ends, read.Null), read.Ends).transpose(0, 1)).sum().backward();
        CompareInputs("joint");

        read = new Read(golden);
        (read["w_upsampled"] * Upsampled(read.Processed, read.Ends).transpose(0, 1)).sum().backward();
        Near.Equal(read["upsampled_grad_processed"], read.Processed.grad!.transpose(0, 1), Values, "processed");
        Assert.Null(read.Ends.grad);
        Near.Equal(read["upsampled_grad_boundaries"], zeros_like(read.Ends), 0, "upsampled, boundaries");

        void CompareInputs(string what)
        {
            // A pass without a boundary reads none of the tokens.
            Near.Equal(read[$"{what}_grad_hidden"], (read.X.grad ?? zeros_like(read.X)).transpose(0, 1), Values, $"{what}, hidden");
            Near.Equal(read[$"{what}_grad_null"], read.Null.grad!, Values, $"{what}, null group");
            Near.Equal(read[$"{what}_grad_boundaries"], read.Ends.grad ?? zeros_like(read.Ends), Values, $"{what}, boundaries");
        }
    }

    [Fact]
    public void Values_and_gradients_are_those_of_a_matrix_of_tokens_and_groups()
    {
        for (var trial = 0; trial < 8; trial++)
        {
            using var scope = NewDisposeScope();
            var (x, first, weights) = (randn(3, 17, 5), randn(1, 1, 5), randn(3, 17, 5));
            var ends = (rand(3, 17) < 0.1 * (trial + 1)).to(float32);
            var (expected, found) = (Through(Plain), Through(Pooled));
            Near.Equal(expected.Y, found.Y, 1e-6, "what tokens receive");
            Near.Equal(expected.Pooled, found.Pooled, 1e-6, "groups");
            foreach (var (name, one, other) in new[] { "x", "boundaries", "null group" }.Zip(expected.Gradients, found.Gradients))
                Near.Equal(one, other, 1e-5, name);

            (Tensor Y, Tensor Pooled, Tensor[] Gradients) Through(Func<Tensor, Tensor, Tensor, Tensor> pool)
            {
                Tensor[] leaves = [Leaf(x), Leaf(ends), Leaf(first)];
                var pooled = pool(leaves[0], leaves[1], leaves[2]);
                var y = Upsampled(pooled, leaves[1]);
                ((y * weights).sum() + pooled.square().sum()).backward();
                return (y, pooled, [.. leaves.Select(leaf => leaf.grad ?? zeros_like(leaf))]);
            }
        }
    }

    [Fact]
    public void A_boundary_at_every_token_gives_each_its_own_vector_back()
    {
        var (x, ends) = (randn(2, 9, 4), ones(2, 9));
        Near.Equal(x, Upsampled(Pooled(x, ends, randn(1, 1, 4)), ends), 0);
    }

    [Fact]
    public void Without_a_boundary_all_receive_the_null_group()
    {
        var (x, ends, first) = (randn(2, 9, 4), zeros(2, 9), randn(1, 1, 4));
        Near.Equal(first.expand(2, 9, 4), Upsampled(Pooled(x, ends, first), ends), 0);
    }

    [Fact]
    public void A_boundary_at_the_last_token_gives_it_the_mean_of_all()
    {
        var (x, ends, first) = (randn(2, 9, 4), zeros(2, 9), randn(1, 1, 4));
        ends.select(1, 8).fill_(1);
        var y = Upsampled(Pooled(x, ends, first), ends);
        Near.Equal(x.mean([1L]), y.select(1, 8), 1e-6);
        Near.Equal(first.expand(2, 8, 4), y.narrow(1, 0, 8), 0);
    }

    [Fact]
    public void The_gradient_of_a_boundary_is_the_closed_form_and_zero_where_there_is_one()
    {
        using var scope = NewDisposeScope();
        var (x, ends, weights) = (randn(1, 12, 4), Leaf(tensor((float[])[0, 0, 1, 0, 1, 1, 0, 0, 0, 1, 0, 0], [1, 12])), randn(1, 5, 4));
        (Pooled(x, ends, zeros(1, 1, 4)) * weights).sum().backward();
        var expected = zeros(1, 12);
        foreach (var (group, (first, last)) in new[] { (0, 2), (3, 4), (5, 5), (6, 9) }.Index())
        {
            var tokens = x[0].narrow(0, first, last - first + 1);
            for (var t = first; t < last; t++)
            {
                var later = x[0].narrow(0, t + 1, last - t) - tokens.mean([0L]);
                expected[0, t] = (weights[0, group + 1] * later).sum() / (last - first + 1);
            }
        }
        Near.Equal(expected, ends.grad!, 1e-6);
        Near.Equal(zeros_like(ends), ends.grad! * ends.detach(), 1e-6, "at boundaries");
        Assert.True(ends.grad!.abs().max().item<float>() > 0.1);
    }

    [Fact]
    public void Padding_is_in_no_group()
    {
        var (x, ends, isText) = (randn(1, 6, 4), tensor((float[])[0, 1, 0, 0, 0, 0], [1, 6]), tensor((float[])[1, 1, 1, 0, 0, 0], [1, 6]));
        var (sums, counts) = TokenGroups.Sum(x, ends, groups: 2, isText);
        var (expected, sizes) = TokenGroups.Sum(x.narrow(1, 0, 3), ends.narrow(1, 0, 3), groups: 2);
        Near.Equal(expected, sums, 0, "sums");
        Near.Equal(sizes, counts, 0, "counts");
    }

    private static Tensor Leaf(Tensor value) => value.detach().clone().requires_grad_();

    // The null group and all groups that end in some row: [B, S, C].
    private static Tensor Pooled(Tensor x, Tensor ends, Tensor first)
    {
        var most = (int)ends.sum(1).max().item<float>();
        var (sums, counts) = TokenGroups.Sum(x, ends, most + 1);
        return cat([first.expand(x.shape[0], 1, -1), TokenGroups.Mean(sums, counts).narrow(1, 0, most)], 1);
    }

    private static Tensor Upsampled(Tensor rows, Tensor ends) => TokenGroups.Receive(rows, ends.cumsum(1));

    // The paper's form: membership [B, T, S] is 1 where as many boundaries stand before a token as groups before the group.
    private static Tensor Plain(Tensor x, Tensor ends, Tensor first)
    {
        var most = (int)ends.sum(1).max().item<float>();
        var distance = arange(most) - (ends.cumsum(1) - ends).unsqueeze(-1);                    // [B, T, S - 1]
        var members = where(distance == 0, 1 - distance, zeros_like(distance));
        var means = members / (members.sum(1, keepdim: true) + 1e-9);
        return cat([first.expand(x.shape[0], 1, -1), matmul(means.transpose(1, 2), x)], 1);
    }

    private sealed class Read
    {
        private readonly Dictionary<string, Tensor> tensors;

        public Read(string golden)
        {
            tensors = Golden.Read($"hierarchy/pool/{golden}.safetensors");
            (X, Processed) = (Leaf(this["hidden"].transpose(0, 1)), Leaf(this["processed"].transpose(0, 1)));
            (Ends, Null) = (Leaf(this["boundaries"]), Leaf(this["null_group"]));
        }

        public Tensor this[string name] => tensors[name];

        public Tensor X { get; }

        public Tensor Ends { get; }

        public Tensor Null { get; }

        public Tensor Processed { get; }
    }
}
