using System.Text.Json.Serialization;

namespace Transformer.Configuration;

/// <summary>How a block moves information between positions.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(SoftmaxAttentionConfig), "softmax")]
public abstract record AttentionConfig
{
    /// <summary>H, the number of query heads.</summary>
    public required int Heads { get; init; }

    /// <summary>D, the width of a head; width / heads where absent.</summary>
    public int? HeadWidth { get; init; }

    /// <summary>D for a model of this width.</summary>
    public int HeadWidthAt(int width) => HeadWidth ?? width / Math.Max(1, Heads);

    /// <summary>What is wrong with the record inside a model of this width and with these positions; paths are relative to the record.</summary>
    public virtual IEnumerable<ConfigProblem> ProblemsAt(int width, PositionConfig position)
    {
        if (Heads < 1)
        {
            yield return new("heads", $"found {Heads}, expected 1 or more");
            yield break;
        }
        if (HeadWidth is null && width > 0 && width % Heads != 0)
        {
            var divisors = Enumerable.Range(1, width).Where(n => width % n == 0).ToArray();
            yield return new("heads", $"{Heads} heads do not divide width {width}. Take {string.Join(", ", divisors[..^1])} or {divisors[^1]}, or set head_width.");
        }
        if (HeadWidth is < 1) yield return new("head_width", $"found {HeadWidth}, expected 1 or more");
        if (position is RotaryPositionConfig && HeadWidthAt(width) % 2 != 0)
            yield return new("head_width", $"rotary positions turn pairs, so a head needs an even width, not {HeadWidthAt(width)}");
        if (position is RotaryPositionConfig { Scaling: NtkScalingConfig or DynamicNtkScalingConfig } && HeadWidthAt(width) == 2)
            yield return new("head_width", "NTK scaling leaves the first pair of a head as it is, and a head of width 2 has no other");
    }
}

/// <summary>Causal softmax attention: multi-head, grouped-query (kv_heads below heads) or multi-query (kv_heads 1).</summary>
public sealed record SoftmaxAttentionConfig : AttentionConfig
{
    /// <summary>G, the number of key/value heads; query head h reads key/value head h * G / H. As many as heads where absent.</summary>
    public int? KvHeads { get; init; }

    /// <summary>Whether the four projections have biases.</summary>
    public bool Bias { get; init; }

    /// <summary>The probability with which attention weights are dropped in training.</summary>
    public double Dropout { get; init; }

    /// <summary>Whether queries and keys are normalised per head (RMSNorm) before the rotation, which bounds the scores (Henry et al. 2020).</summary>
    public bool QueryKeyNorm { get; init; }

    /// <summary>c in c * tanh(score / c), which bounds the scaled scores softly (Gemma 2); none where absent.</summary>
    public double? LogitSoftCap { get; init; }

    /// <summary>
    /// Whether the values of every block after the first that has this are mixed with that one's: l1 v_1 + l2 v, the two numbers learned
    /// (Zhou et al. 2024); both start at 1/2.
    /// </summary>
    public bool ValueResidual { get; init; }

    /// <summary>Which earlier tokens a query sees.</summary>
    public WindowConfig Window { get; init; } = new FullWindowConfig();

    /// <inheritdoc/>
    public override IEnumerable<ConfigProblem> ProblemsAt(int width, PositionConfig position)
    {
        foreach (var problem in base.ProblemsAt(width, position)) yield return problem;
        if (Heads < 1) yield break;
        if (KvHeads is < 1) yield return new("kv_heads", $"found {KvHeads}, expected 1 or more");
        else if (KvHeads is { } kv && Heads % kv != 0) yield return new("kv_heads", $"{kv} key/value heads do not divide {Heads} heads");
        if (Window is not FullWindowConfig && position is RotaryPositionConfig { Scaling: DynamicNtkScalingConfig })
            yield return new("window", "dynamic_ntk turns all keys of the cache anew in each pass, and a window keeps turned ones; take another scaling or window {kind: full}");
        if (Dropout is < 0 or >= 1) yield return new("dropout", $"found {Dropout}, expected 0 or more and less than 1");
        if (LogitSoftCap is <= 0) yield return new("logit_soft_cap", $"found {LogitSoftCap}, expected more than 0");
    }
}
