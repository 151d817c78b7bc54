namespace Transformer.Tokenization;

/// <summary>
/// A token that is found in a text by its content before the rest of the text is cut into tokens, as Hugging Face's tokenizers have it: the
/// names of control tokens, or runs of spaces.
/// </summary>
/// <param name="Id">The token.</param>
/// <param name="Content">What stands for it in a text; not empty.</param>
public sealed record AddedToken(int Id, string Content)
{
    /// <summary>Whether it is found only where no letter, digit or underscore stands beside it.</summary>
    public bool SingleWord { get; init; }

    /// <summary>Whether it takes the white space before it along.</summary>
    public bool LeftStrip { get; init; }

    /// <summary>Whether it takes the white space behind it along.</summary>
    public bool RightStrip { get; init; }

    /// <summary>Whether it is looked for after the text was normalized, and after the tokens that are not.</summary>
    public bool Normalized { get; init; }

    /// <summary>Whether it is a control token and no text.</summary>
    public bool Special { get; init; } = true;

    /// <summary>A token as tokenizer.json and tokenizer_config.json describe it.</summary>
    /// <param name="id">The token.</param>
    /// <param name="content">Its content.</param>
    /// <param name="flag">Whether the description has a switch on, such as lstrip.</param>
    internal static AddedToken Read(int id, string content, Func<string, bool> flag) => new(id, content)
    {
        SingleWord = flag("single_word"),
        LeftStrip = flag("lstrip"),
        RightStrip = flag("rstrip"),
        Normalized = flag("normalized"),
        Special = flag("special"),
    };
}
