using System.Text.Json.Serialization;

namespace Transformer.Runs;

/// <summary>How training batches are drawn from the tokens.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<Sampling>))]
public enum Sampling
{
    /// <summary>Every window once per epoch, in a new order with a new starting phase each time.</summary>
    [JsonStringEnumMemberName("shuffled")]
    Shuffled,

    /// <summary>Every window starts at an independent, uniformly drawn token (nanoGPT's way).</summary>
    [JsonStringEnumMemberName("random")]
    Random,

    /// <summary>
    /// Each row reads a part of the text in its order, over all batches, so that a model with memory remembers what came before.
    /// </summary>
    [JsonStringEnumMemberName("contiguous")]
    Contiguous,
}
