using Transformer.Configuration;
using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

// H heads · D head width · L distances · C width

/// <summary>
/// scale (q + v) W_r r_d for the distance d of each key, where the query comes as q + u: the products of the query with W_r r_d, and of
/// v - u, which are known beforehand.
/// </summary>
internal sealed unsafe class TransformerXlBias : AttentionBias
{
    private readonly int distances, headWidth;
    private readonly float* vectors;     // W_r r_d: [H, L, D]
    private readonly float* constants;   // (v - u) W_r r_d: [H, L]

    /// <param name="plan">What all blocks share.</param>
    /// <param name="config">Heads and memory.</param>
    /// <param name="name">The mixer's name with a dot at its end.</param>
    public TransformerXlBias(InferencePlan plan, TransformerXlAttentionConfig config, string name)
    {
        var inner = config.Heads * config.HeadWidthAt(plan.Width);
        headWidth = config.HeadWidthAt(plan.Width);
        distances = (int)Math.Min(config.KeysAt(plan.Model.Places), (config.ClampLength ?? int.MaxValue) + 1L);
        float* u = plan.Weights.Vector(name + "u_bias"), v = plan.Weights.Vector(name + "v_bias");
        var (sines, products) = (plan.Workspace.Buffer("distances", plan.Width), plan.Workspace.Buffer("distance vectors", inner));
        var projection = plan.Products(plan.ExactMap(name + "r_proj", products));
        var (ofHeads, differences) = (new float[inner * distances], new float[config.Heads * distances]);
        for (var first = 0; first < distances; first += plan.Workspace.Tokens)
        {
            var count = Math.Min(plan.Workspace.Tokens, distances - first);
            for (var d = 0; d < count; d++) Distance(first + d, sines.Row(d), plan.Width);
            projection.Run(sines, count);                                            // [count, H D]
            for (var d = 0; d < count; d++)
                for (var i = 0; i < inner; i++)
                {
                    var at = i / headWidth * distances + first + d;
                    ofHeads[at * headWidth + i % headWidth] = products.Row(d)[i];
                    differences[at] += (v[i] - u[i]) * products.Row(d)[i];
                }
        }
        vectors = plan.Weights.Constants(ofHeads);
        constants = plan.Weights.Constants(differences);
    }

    /// <inheritdoc/>
    public override void Add(QueryPlace query, float* q, float scale, float* scores, int count, float* scratch)
    {
        var vector = vectors + (long)query.Head * distances * headWidth;
        var constant = constants + query.Head * distances;
        var last = 0f;
        for (var d = 0; d < count; d++)
        {
            if (d < distances) last = scale * (VectorMath.Dot(q, vector + d * headWidth, headWidth) + constant[d]);
            scores[count - 1 - d] += last;
        }
    }

    // The sines of d / 10000^(2i/C), then their cosines.
    private static void Distance(int d, float* r, int width)
    {
        for (var i = 0; i < width / 2; i++)
        {
            var angle = d * Math.Pow(SinusoidalPositionConfig.Base, -2.0 * i / width);
            (r[i], r[width / 2 + i]) = ((float)Math.Sin(angle), (float)Math.Cos(angle));
        }
    }
}
