using Transformer.Configuration;
using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

// H heads · D head width · S distances · K maximum

/// <summary>
/// What the distance of query and key adds to a scaled score: a table for each head (ALiBi, T5), or the products of the query with a
/// learned vector for each distance (Shaw et al. 2018).
/// </summary>
internal sealed unsafe class DistanceBias : AttentionBias
{
    private readonly float* table, vectors;
    private readonly int length, headWidth;

    private DistanceBias(float* table, float* vectors, int length, int headWidth)
    {
        this.table = table;
        this.vectors = vectors;
        (this.length, this.headWidth) = (length, headWidth);
    }

    /// <summary>The bias of a model; null where it has none.</summary>
    public static DistanceBias? Of(ModelConfig model, CpuWeights weights)
    {
        if (model.Position is not ScoreBiasPositionConfig || model.SoftmaxMixers().FirstOrDefault() is not { } attention) return null;
        var distances = Enumerable.Range(0, model.MostPlaces);
        switch (model.Position)
        {
            case AlibiPositionConfig:
                var slopes = AlibiPositionConfig.Slopes(attention.Heads);
                var products = slopes.SelectMany(slope => distances.Select(distance => (float)slope * -distance));
                return new(weights.Constants(products), null, model.MostPlaces, 0);
            case T5PositionConfig t5:
                var learned = weights.Vector("model.position_bias.relative_attention_bias.weight");    // [N, H]
                var numbers = new float[attention.Heads * model.MostPlaces];
                for (var head = 0; head < attention.Heads; head++)
                    foreach (var distance in distances)
                    {
                        var bucket = t5.BucketOf(Math.Min(distance, t5.MaximumDistance));
                        numbers[head * model.MostPlaces + distance] = learned[bucket * attention.Heads + head];
                    }
                return new(weights.Constants(numbers), null, model.MostPlaces, 0);
            case RelativePositionConfig relative:
                var vectors = weights.Vector("model.position_bias.distance_embedding.weight");                 // [K + 1, D]
                return new(null, vectors, relative.Maximum + 1, attention.HeadWidthAt(model.Width));
            default:
                throw Kind.Unknown("model.position", model.Position, "CPU kernel");
        }
    }

    /// <inheritdoc/>
    public override int Scratch => vectors is null ? 0 : length;

    /// <inheritdoc/>
    public override void Add(QueryPlace query, float* q, float scale, float* scores, int count, float* scratch)
    {
        var numbers = vectors is null ? table + (long)query.Head * length : scratch;
        var most = Math.Min(length, count);
        if (vectors is not null)
            for (var distance = 0; distance < most; distance++)
                scratch[distance] = scale * VectorMath.Dot(q, vectors + distance * headWidth, headWidth);
        for (var key = 0; key < count; key++) scores[key] += numbers[Math.Min(count - 1 - key, length - 1)];
    }
}
