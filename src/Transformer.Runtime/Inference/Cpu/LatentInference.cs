using Transformer.Configuration;
using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

// N tokens · C width · H heads · D head width · E value width · d_c latent width · d_r rotary width

/// <summary>
/// Multi-head latent attention in the absorbed form: queries are mapped into the space of the latent vectors, which are keys and values of
/// all heads, and their mean is mapped to each head's values. Keys and values of the heads are never computed.
/// </summary>
internal sealed unsafe class LatentInference : MixerInference
{
    private readonly int heads, headWidth, ropeWidth, latentWidth;
    private readonly RotaryAngles? rotation;
    private readonly MatrixProducts projections, output;
    private readonly MatrixProducts? queryExpansion;
    private readonly Activations q, latents, queries, values;
    private readonly Activations? compressedQueries;
    private readonly Activations[] headQueries;
    private readonly float* latentNorm, queryNorm;
    private readonly PerTokenKernel keeping, normalising;
    private readonly PerHeadProducts toLatent, toValues;
    private readonly LatentKernel attention;
    private TokenBatch batch = null!;
    private LatentState cache = null!;

    /// <param name="plan">What all blocks share.</param>
    /// <param name="config">Heads and widths.</param>
    /// <param name="name">Its name with a dot at its end.</param>
    /// <param name="y">Where the output goes: [N, C].</param>
    public LatentInference(InferencePlan plan, LatentAttentionConfig config, string name, Activations y)
    {
        var workspace = plan.Workspace;
        (heads, headWidth, ropeWidth) = (config.Heads, config.HeadWidthAt(plan.Width), config.RotaryWidthAt(plan.Width));
        latentWidth = config.KvRank;
        var width = latentWidth + ropeWidth;
        if (ropeWidth > 0) rotation = plan.RotaryAngles;
        (q, latents) = (workspace.Buffer("queries", heads * (headWidth + ropeWidth)), workspace.Buffer("latents", width));
        queries = workspace.Buffer("latent queries", LatentKernel.PaddedHeads(heads) * width);
        values = workspace.Buffer("mixed values", heads * config.ValueWidthAt(plan.Width));
        headQueries = [.. Enumerable.Range(0, heads).Select(head => workspace.Buffer($"queries of head {head}", headWidth))];
        Activations[] means = [.. Enumerable.Range(0, heads).Select(head => workspace.Buffer($"mean of head {head}", latentWidth))];

        var latent = plan.Map(name + "kv_a_proj_with_mqa", latents);
        if (config.QueryRank is { } rank)
        {
            compressedQueries = workspace.Buffer("compressed queries", rank);
            projections = plan.Products(plan.Map(name + "q_a_proj", compressedQueries), latent);
            queryNorm = plan.Weights.Vector(name + "q_a_layernorm.weight");
            queryExpansion = plan.Products(plan.Map(name + "q_b_proj", q));
        }
        else projections = plan.Products(plan.Map(name + "q_proj", q), latent);
        latentNorm = plan.Weights.Vector(name + "kv_a_layernorm.weight");
        var maps = plan.Weights.Exact(name + "kv_b_proj.weight");    // head by head W_UK, [D, d_c], and W_UV, [E, d_c]
        var rows = maps.Outputs / heads;
        toLatent = new(plan.Team, headQueries, queries, width,
            [.. Enumerable.Range(0, heads).Select(head => plan.Weights.Matrix(Transposed(maps, head * rows, headWidth)))]);
        toValues = new(plan.Team, means, values, rows - headWidth,
            [.. Enumerable.Range(0, heads).Select(head => plan.Weights.Matrix(Rows(maps, head * rows + headWidth, rows - headWidth)))]);
        attention = new LatentKernel(plan, (float)plan.Model.ScoreScale(config), queries, means, width);
        normalising = new PerTokenKernel(plan.Team, token => Normalise(compressedQueries!, queryNorm, token));
        keeping = new PerTokenKernel(plan.Team, Keep);
        output = plan.Products(plan.Map(name + "o_proj", y));
    }

    /// <inheritdoc/>
    public override MixerState NewState(int rows, int length) => new LatentState(rows, length, latentWidth + ropeWidth);

    /// <inheritdoc/>
    public override void Run(TokenBatch batch, Activations x, MixerState state)
    {
        (this.batch, cache) = (batch, (LatentState)state);
        projections.Run(x, batch.Tokens);                                           // [N, H (D + d_r)], [N, d_c + d_r]
        if (queryExpansion is not null)
        {
            normalising.Run(batch.Tokens);
            queryExpansion.Run(compressedQueries!, batch.Tokens);                   // [N, H (D + d_r)]
        }
        keeping.Run(batch.Tokens);
        toLatent.Run(batch.Tokens);                                                 // [N, H (d_c + d_r)]
        attention.Run(batch, cache);                                                // H x [N, d_c]
        toValues.Run(batch.Tokens);                                                 // [N, H E]
        output.Run(values, batch.Tokens);                                           // [N, C]
    }

    // Normalises the latent vector, rotates, stores both parts in the row's cache and gives each head its query.
    private void Keep(int token)
    {
        Normalise(latents, latentNorm, token, latentWidth);
        rotation?.Rotate(token, latents.Row(token) + latentWidth, heads: 1);
        cache.Keep(batch.Row(token), batch.Position(token), latents.Row(token));
        var width = headWidth + ropeWidth;
        for (var head = 0; head < heads; head++)
        {
            var query = q.Row(token) + head * width;
            rotation?.Rotate(token, query + headWidth, heads: 1);
            VectorKernels.Copy(query, headQueries[head].Row(token), headWidth);
            VectorKernels.Copy(query + headWidth, queries.Row(token) + head * (latentWidth + ropeWidth) + latentWidth, ropeWidth);
        }
    }

    private static void Normalise(Activations x, float* weight, int token, int? width = null) => VectorKernels.RmsNorm(
        x.Row(token), weight, (float)LatentAttentionConfig.NormEpsilon, x.Row(token), width ?? x.Width);

    private static FloatMatrix<Float32Element> Rows(WeightMatrix matrix, int first, int count)
    {
        var numbers = new NativeArray<float>((long)count * matrix.Inputs);
        for (var row = 0; row < count; row++) matrix.Read(first + row, numbers.Pointer + (long)row * matrix.Inputs);
        return new((byte*)numbers.Pointer, count, matrix.Inputs, numbers);
    }

    // Some rows as columns.
    private static FloatMatrix<Float32Element> Transposed(WeightMatrix matrix, int first, int count)
    {
        var numbers = new NativeArray<float>((long)count * matrix.Inputs);
        var row = new float[matrix.Inputs];
        for (var column = 0; column < count; column++)
        {
            fixed (float* to = row) matrix.Read(first + column, to);
            for (var i = 0; i < row.Length; i++) numbers.Pointer[(long)i * count + column] = row[i];
        }
        return new((byte*)numbers.Pointer, matrix.Inputs, count, numbers);
    }
}
