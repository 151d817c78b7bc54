using Transformer.Data.Images;

namespace Transformer.Data;

/// <summary>The prompt of a sample.</summary>
/// <param name="Tokens">At least one; <see cref="Batch.ImagePlaceholder"/> where a picture is read.</param>
/// <param name="Answer">The number of tokens of the right answer; null where there is none.</param>
public sealed record SamplePrompt(int[] Tokens, int? Answer = null)
{
    /// <summary>The picture of each placeholder, in their order.</summary>
    public IReadOnlyList<Picture> Pictures { get; init; } = [];
}
