namespace Transformer.Configuration;

// N ranks · H heads · G key/value heads · F hidden width

/// <summary>
/// The part of a model that one of N ranks has under tensor parallelism (Shoeybi et al. 2019, arXiv:1909.08053, section 3): an equal share
/// of the heads of every mixer and of the hidden units of every MLP. It is a model itself, with H/N, G/N and F/N in place of H, G and F,
/// whose sub-layers' outputs add up to the whole one's.
/// </summary>
public static class TensorParallelShare
{
    /// <summary>The share of a rank.</summary>
    /// <param name="model">The whole model, without <see cref="Problems"/>.</param>
    /// <param name="rank">Which share, from 0.</param>
    /// <param name="ranks">N.</param>
    public static ModelConfig Of(ModelConfig model, int rank, int ranks) => model with
    {
        Attention = model.Attention?.ShareOf(rank, ranks, model.Width),
        Mixers = model.Mixers?.ToDictionary(mixer => mixer.Key, mixer => mixer.Value.ShareOf(rank, ranks, model.Width)),
        Mlp = model.Mlp.ShareOf(model.Width, ranks),
    };

    /// <summary>Why a model cannot be split however many ranks there are; paths are those of a run.</summary>
    public static IEnumerable<ConfigProblem> Obstacles(ModelConfig model)
    {
        foreach (var (path, mixer) in model.MixersByPath())
            foreach (var problem in Added(mixer) ?? mixer.SplitObstacles()) yield return problem with { Path = $"{path}.{problem.Path}" };
        var (mlpPath, mlp) = model.Mlp is MixtureMlpConfig mixture ? ("model.mlp.expert", mixture.Expert) : ("model.mlp", model.Mlp);
        foreach (var problem in Added(mlp) ?? []) yield return problem with { Path = $"{mlpPath}.{problem.Path}" };

        if (model.Vision is GatedCrossAttentionConfig)
            yield return new("model.vision.kind", "tensor_parallel cannot split attention to pictures; take prefix, or another strategy");
        foreach (var (path, hourglass) in model.Layers.Hourglasses)
        {
            if (hourglass.Pooling is AttentionPoolingConfig)
                yield return new($"model.layers{path}.pooling.kind", "tensor_parallel cannot split attention; take average or linear");
            if (hourglass.Upsampling is AttentionUpsamplingConfig)
                yield return new($"model.layers{path}.upsampling.kind", "tensor_parallel cannot split attention; take repeat or linear");
        }

        // How a kind from outside of the library would be split, the library does not know.
        static IEnumerable<ConfigProblem>? Added(object part) => AddedKinds.Names.TryGetValue(part.GetType(), out var name)
            ? [new("kind", $"tensor_parallel cannot split {name}, which another assembly adds; take another kind, or another strategy")]
            : null;
    }

    /// <summary>Why so many ranks cannot split a model, <see cref="Obstacles"/> included; paths are those of a run.</summary>
    public static IEnumerable<ConfigProblem> Problems(ModelConfig model, int ranks)
    {
        foreach (var problem in Obstacles(model)) yield return problem;
        foreach (var (path, mixer) in model.MixersByPath())
            foreach (var problem in mixer.SplitProblems(ranks)) yield return problem with { Path = $"{path}.{problem.Path}" };
        foreach (var problem in model.Mlp.SplitProblems(model.Width, ranks))
            yield return problem with { Path = $"model.mlp.{problem.Path}" };
    }

    /// <summary>Refuses what cannot be split.</summary>
    /// <param name="model">The whole model.</param>
    /// <param name="ranks">N.</param>
    /// <exception cref="InputException">One line a problem.</exception>
    public static void Check(ModelConfig model, int ranks) => ConfigProblem.ThrowIfAny([.. Problems(model, ranks)], "tensor_parallel");

    /// <summary>The error that ranks cannot split so many of something.</summary>
    internal static string Indivisible(int count, string what, int ranks) =>
        $"{ranks} ranks cannot share {count} {what} equally. Start as many ranks as divide them.";
}
