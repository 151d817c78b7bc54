namespace Transformer.Comparison;

/// <summary>The number by which designs are compared.</summary>
public enum Measure
{
    /// <summary>The validation loss in nats per token.</summary>
    Loss,

    /// <summary>The validation loss in bits per byte of the text, whatever the tokenizer.</summary>
    BitsPerByte,

    /// <summary>The share of right answers.</summary>
    Accuracy,
}
