namespace Transformer.Formats.Gguf;

/// <summary>How the matrices of a GGUF file are kept. Norms, biases and learned positions stay in float32 always.</summary>
public enum GgufPrecision
{
    /// <summary>As they are.</summary>
    F32,

    /// <summary>In float16: 11 bits of each number.</summary>
    F16,

    /// <summary>In blocks of 8.5 bits a weight, in float16 where 32 does not divide a row.</summary>
    Q8,

    /// <summary>
    /// In blocks of 4.5 bits a weight, but the token embedding and the head, on which all logits hang, as in <see cref="Q8"/>.
    /// </summary>
    Q4,
}
