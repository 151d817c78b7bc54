using Transformer.Configuration;

namespace Transformer.Inference.Cpu.Vision;

// N queries · S vectors of a source · C width · H heads · D head width

/// <summary>
/// Attention to other vectors than those of the stream (Vaswani et al. 2017, section 3.2.3): the queries of a row see all S vectors of the
/// row's source.
/// </summary>
internal sealed unsafe class SourceAttention
{
    private readonly int heads, headWidth, vectors;
    private readonly MatrixProducts query, source, output;
    private readonly Activations q, k, v, z;
    private readonly PerTokenKernel keeping;
    private int row;
    private KeyValueState state = null!;

    /// <param name="plan">What the layers share, and the buffers of N queries.</param>
    /// <param name="sources">The buffers of S vectors.</param>
    /// <param name="config">The heads.</param>
    /// <param name="vectors">S.</param>
    /// <param name="name">Its name with a dot at its end.</param>
    /// <param name="y">Where the output goes: [N, C].</param>
    public SourceAttention(InferencePlan plan, Workspace sources, SoftmaxAttentionConfig config, int vectors, string name, Activations y)
    {
        (heads, headWidth, this.vectors) = (config.Heads, config.HeadWidthAt(plan.Width), vectors);
        var inner = heads * headWidth;
        (q, z) = (plan.Workspace.Buffer("queries", inner), plan.Workspace.Buffer("mixed values", inner));
        (k, v) = (sources.Buffer("keys", inner), sources.Buffer("values", inner));
        query = plan.Products(plan.Map(name + "q_proj", q));
        source = plan.Products(plan.Map(name + "k_proj", k), plan.Map(name + "v_proj", v));
        output = plan.Products(plan.Map(name + "o_proj", y));
        keeping = new PerTokenKernel(plan.Team, Keep);
        Kernel = new AttentionKernel(
            plan, config, heads, plan.Model.ScoreScale(config), q, z, bias: null, keys: vectors, isCausal: false);
    }

    /// <summary>What attends, for the tokens that are given to it.</summary>
    public AttentionKernel Kernel { get; }

    /// <summary>The keys and values of each row's source, none at first.</summary>
    public KeyValueState NewState(int rows) => new(rows, heads, vectors, headWidth, isWhole: false, keepsUnrotated: false);

    /// <summary>Computes the keys and values of a source, which a row's queries see from now on.</summary>
    /// <param name="x">[S, C]</param>
    /// <param name="row">The row.</param>
    /// <param name="state">What <see cref="NewState"/> made.</param>
    public void Keep(Activations x, int row, KeyValueState state)
    {
        source.Run(x, vectors);                                                    // 2 x [S, H D]
        (this.row, this.state) = (row, state);
        keeping.Run(vectors);
    }

    private void Keep(int vector)
    {
        for (var head = 0; head < heads; head++)
            state.Keep(row, head, vector, k.Row(vector) + head * headWidth, v.Row(vector) + head * headWidth);
    }

    /// <summary>Computes the queries; what no query attends to is zero.</summary>
    /// <param name="x">[N, C]</param>
    /// <param name="queries">N.</param>
    public void Query(Activations x, int queries)
    {
        query.Run(x, queries);                                                     // [N, H D]
        new Span<float>(z.Values, queries * z.Width).Clear();
    }

    /// <summary>Computes the output of what the <see cref="Kernel"/> has given.</summary>
    /// <param name="queries">N.</param>
    public void Output(int queries) => output.Run(z, queries);                     // [N, C]
}
