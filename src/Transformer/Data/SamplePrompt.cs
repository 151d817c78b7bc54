using System.Globalization;
using System.Text;
using Transformer.Data.Images;
using Transformer.Inference;
using Transformer.Tokenization;

namespace Transformer.Data;

/// <summary>The prompt of a sample.</summary>
/// <param name="Tokens">At least one; <see cref="Batch.ImagePlaceholder"/> where a picture is read.</param>
/// <param name="Answer">The number of tokens of the right answer; null where there is none.</param>
public sealed record SamplePrompt(int[] Tokens, int? Answer = null)
{
    /// <summary>The picture of each placeholder, in their order.</summary>
    public IReadOnlyList<Picture> Pictures { get; init; } = [];

    /// <summary>What each picture is called: a file, or a number of a task's.</summary>
    public IReadOnlyList<string> PictureNames { get; init; } = [];

    /// <summary>The tokens with the pictures that a model has read.</summary>
    /// <param name="model">The model; it reads them where it has not.</param>
    internal int[] ReadBy(InferenceModel model)
    {
        var next = 0;
        return [.. Tokens.SelectMany(token => token == Batch.ImagePlaceholder
            ? model.Picture(ImagePreprocessing.Pixels(Pictures[next++], model.Config.Vision!.Image))
            : [token])];
    }

    /// <summary>The prompt as a person reads it: a picture is its name.</summary>
    internal string TextIn(Tokenizer tokenizer)
    {
        var text = new StringBuilder();
        var (first, picture) = (0, 0);
        for (var token = 0; token <= Tokens.Length; token++)
        {
            if (token < Tokens.Length && Tokens[token] != Batch.ImagePlaceholder) continue;
            text.Append(tokenizer.Decode(Tokens.AsSpan(first, token - first)));
            if (token < Tokens.Length) text.Append(CultureInfo.InvariantCulture, $"[{PictureNames[picture++]}] ");
            first = token + 1;
        }
        return text.ToString();
    }
}
