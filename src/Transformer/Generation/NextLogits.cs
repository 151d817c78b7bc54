namespace Transformer.Generation;

// V vocabulary

/// <summary>What computes the logits of a generation's rows, step by step.</summary>
internal abstract class NextLogits : IDisposable
{
    /// <summary>What guesses came to so far; null where none are made.</summary>
    public virtual SpeculationCount? Speculation => null;

    /// <summary>Reads what each row that goes on has got since the last step: its whole window at first and after that was cut, else its last token.</summary>
    public abstract void Read(GenerationRow[] rows);

    /// <summary>The guess of a row's next token, where there is one.</summary>
    public virtual DraftToken DraftTokenOf(int row) => default;

    /// <summary>The logits of a row's next token after <see cref="Read"/>; to be overwritten at will.</summary>
    /// <returns>[V]</returns>
    public abstract Span<float> Of(int row);

    /// <summary>Whether the generation is to end: where several ranks compute the logits, they end it at the same token.</summary>
    /// <param name="isAsked">Whether this process was asked to.</param>
    public virtual bool IsAsked(bool isAsked) => isAsked;

    /// <inheritdoc/>
    public abstract void Dispose();
}
