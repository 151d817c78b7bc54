namespace Transformer.Generation;

/// <summary>Why a row ended.</summary>
public enum FinishReason
{
    /// <summary>
    /// The model ended the text itself: it chose the token that ends one, or the one that begins the
    /// next; or the constraint allowed nothing more.
    /// </summary>
    EndOfText,

    /// <summary>A stop string appeared.</summary>
    StopString,

    /// <summary>As many tokens were generated as were asked for.</summary>
    MaxTokens,

    /// <summary>The caller cancelled.</summary>
    Cancelled,

    /// <summary>The context is full, and its policy drops nothing more.</summary>
    ContextFull,
}
