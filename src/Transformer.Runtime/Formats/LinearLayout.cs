namespace Transformer.Formats;

/// <summary>How a file lays out the matrix of a linear layer.</summary>
public enum LinearLayout
{
    /// <summary>[out, in]: torch's Linear, and so nanoGPT.</summary>
    OutIn,

    /// <summary>[in, out]: the Conv1D of Hugging Face's GPT-2.</summary>
    InOut,
}
