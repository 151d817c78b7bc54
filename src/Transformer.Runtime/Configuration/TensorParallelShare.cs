namespace Transformer.Configuration;

// N ranks · C width · H heads · G key/value heads · D head width · F hidden width

/// <summary>
/// What one of N ranks has of a model under tensor parallelism (Shoeybi et al. 2019, arXiv:1909.08053, section 3): an equal share of the heads of every mixer and of
/// the hidden units of every MLP. It is a model itself, with H/N, G/N and F/N in place of H, G and F, whose sub-layers' outputs add up to the whole one's.
/// </summary>
public static class TensorParallelShare
{
    /// <summary>The share of a rank.</summary>
    /// <param name="model">The whole model, without <see cref="Problems"/>.</param>
    /// <param name="rank">Which share, from 0.</param>
    /// <param name="ranks">N.</param>
    public static ModelConfig Of(ModelConfig model, int rank, int ranks) => model with
    {
        Attention = model.Attention is null ? null : Of(model.Attention, model.Width, rank, ranks),
        Mixers = model.Mixers?.ToDictionary(mixer => mixer.Key, mixer => Of(mixer.Value, model.Width, rank, ranks)),
        Mlp = Of(model.Mlp, model.Width, ranks),
    };

    /// <summary>Why a model cannot be split however many ranks there are; paths are those of a run.</summary>
    public static IEnumerable<ConfigProblem> Obstacles(ModelConfig model)
    {
        foreach (var (path, mixer) in Mixers(model))
        {
            if (mixer is SoftmaxAttentionConfig { Dropout: > 0 and var dropout })
                yield return new($"{path}.dropout", $"found {dropout}, but under tensor_parallel all ranks draw the same numbers, and their heads would drop the same weights; take 0 (model.dropout may stay), or another strategy");
            if (mixer is ConvolutionConfig) yield return new($"{path}.kind", "a convolution alone has no heads for tensor_parallel to split; take another mixer, or another strategy");
        }
    }

    /// <summary>Why so many ranks cannot split a model, <see cref="Obstacles"/> included; paths are those of a run.</summary>
    public static IEnumerable<ConfigProblem> Problems(ModelConfig model, int ranks)
    {
        foreach (var problem in Obstacles(model)) yield return problem;
        foreach (var (path, mixer) in Mixers(model))
        {
            if (mixer is HeadedAttentionConfig { Heads: var heads } && heads % ranks != 0) yield return new($"{path}.heads", Indivisible(heads, "heads", ranks));
            else if (mixer is SoftmaxAttentionConfig { KvHeads: { } shared } && shared % ranks != 0) yield return new($"{path}.kv_heads", Indivisible(shared, "key/value heads", ranks));
        }
        if (model.Mlp.HiddenAt(model.Width) is var hidden && hidden % ranks != 0)
            yield return new(model.Mlp is MixtureMlpConfig ? "model.mlp.expert.hidden" : "model.mlp.hidden", Indivisible(hidden, "hidden units", ranks));
    }

    /// <summary>Refuses what cannot be split.</summary>
    /// <param name="model">The whole model.</param>
    /// <param name="ranks">N.</param>
    /// <exception cref="InputException">One line a problem.</exception>
    public static void Check(ModelConfig model, int ranks) => ConfigProblem.ThrowIfAny([.. Problems(model, ranks)], "tensor_parallel");

    private static string Indivisible(int count, string what, int ranks) =>
        $"{ranks} ranks cannot share {count} {what} equally. Start as many ranks as divide them.";

    private static IEnumerable<(string Path, AttentionConfig Mixer)> Mixers(ModelConfig model) =>
        model.Mixers?.Select(mixer => ($"model.mixers.{mixer.Key}", mixer.Value)) ?? (model.Attention is null ? [] : [("model.attention", model.Attention)]);

    private static AttentionConfig Of(AttentionConfig mixer, int width, int rank, int ranks) => mixer switch
    {
        SoftmaxAttentionConfig softmax => softmax with
        {
            Heads = softmax.Heads / ranks,
            KvHeads = softmax.KvHeads / ranks,
            HeadWidth = softmax.HeadWidthAt(width),
            // The penalty of a learned span is on the mean over the heads: N means of H/N heads.
            Window = softmax.Window is LearnedWindowConfig learned ? learned with { Penalty = learned.Penalty / ranks } : softmax.Window,
            Part = (rank, ranks),
        },
        LinearAttentionConfig linear => linear with { Heads = linear.Heads / ranks, HeadWidth = linear.HeadWidthAt(width), Part = (rank, ranks) },
        _ => throw new ArgumentOutOfRangeException(nameof(mixer), mixer, "cannot be split"),
    };

    private static MlpConfig Of(MlpConfig mlp, int width, int ranks) => mlp switch
    {
        NoMlpConfig => mlp,
        // Every rank has the whole router and a share of each expert; it adds its share of the loss that keeps experts evenly used.
        MixtureMlpConfig mixture => mixture with { Expert = Of(mixture.Expert, width, ranks), Balance = mixture.Balance / ranks },
        _ => mlp with { Hidden = mlp.HiddenAt(width) / ranks },
    };
}
