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
        (distances, headWidth) = (config.KeysAt(plan.Model.Places), config.HeadWidthAt(plan.Width));
        var (width, inner) = (plan.Width, config.Heads * config.HeadWidthAt(plan.Width));
        float* projection = plan.Weights.Vector(name + "r_proj.weight");             // [H D, C]
        float* u = plan.Weights.Vector(name + "u_bias"), v = plan.Weights.Vector(name + "v_bias");
        var (rotated, products) = (new float[inner * distances], new float[config.Heads * distances]);
        var distance = stackalloc float[width];
        for (var d = 0; d < distances; d++)
        {
            Distance(Math.Min(d, config.ClampLength ?? d), distance, width);
            for (var row = 0; row < inner; row++)
            {
                var (head, component) = Math.DivRem(row, headWidth);
                var product = VectorMath.Dot(projection + (long)row * width, distance, width);
                rotated[((head * distances) + d) * headWidth + component] = product;
                products[head * distances + d] += (v[row] - u[row]) * product;
            }
        }
        vectors = plan.Weights.Constants(rotated);
        constants = plan.Weights.Constants(products);
    }

    /// <inheritdoc/>
    public override void Add(QueryPlace query, float* q, float scale, float* scores, int count, float* scratch)
    {
        var vector = vectors + (long)query.Head * distances * headWidth;
        var constant = constants + query.Head * distances;
        for (var d = 0; d < count; d++)
            scores[count - 1 - d] += scale * (VectorMath.Dot(q, vector + d * headWidth, headWidth) + constant[d]);
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
