using System.Text;
using Transformer.Configuration;

namespace Transformer.Tokenization;

/// <summary>The tokens of white space, at which groups of an hourglass may end.</summary>
public static class WhiteSpaceTokens
{
    /// <summary>The ids of the tokens that contain white space.</summary>
    /// <param name="tokenizer">The vocabulary.</param>
    public static IReadOnlyList<int> Of(Tokenizer tokenizer) =>
    [
        .. Enumerable.Range(0, tokenizer.VocabularySize)
            .Where(id => Encoding.UTF8.GetString(tokenizer.BytesOf(id)).Any(char.IsWhiteSpace)),
    ];

    /// <summary>The model, its hourglasses with the tokens of white space that they leave to the tokenizer.</summary>
    /// <param name="model">The model.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <exception cref="InputException">The tokenizer has no such token.</exception>
    public static ModelConfig Resolve(ModelConfig model, Tokenizer tokenizer) => model with
    {
        Layers = model.Layers.Select(hourglass => hourglass.Boundaries is not WhiteSpaceBoundariesConfig { Tokens: null } boundaries
            ? hourglass
            : Of(tokenizer) is [_, ..] tokens
                ? hourglass with { Boundaries = boundaries with { Tokens = tokens } }
                : throw new InputException(
                    "model.layers: boundaries of white space, but the tokenizer has no token with any. Take another kind of boundaries.")),
    };
}
