namespace Transformer.Inference;

// N tokens · C width

/// <summary>What a model reads: token ids or, where something other than text enters, embeddings.</summary>
public readonly ref struct InferenceInput
{
    private InferenceInput(ReadOnlySpan<int> ids, ReadOnlySpan<float> embeddings, int width)
    {
        Ids = ids;
        Embeddings = embeddings;
        Width = width;
        Tokens = width == 0 ? ids.Length : embeddings.Length / width;
    }

    /// <summary>N.</summary>
    public int Tokens { get; }

    /// <summary>The ids: [N]; empty for embeddings.</summary>
    public ReadOnlySpan<int> Ids { get; }

    /// <summary>The embeddings, before positions are added: [N, C]; empty for ids.</summary>
    public ReadOnlySpan<float> Embeddings { get; }

    /// <summary>C for embeddings, 0 for ids.</summary>
    public int Width { get; }

    /// <summary>Whether these are embeddings.</summary>
    public bool IsEmbeddings => Width > 0;

    /// <summary>Embeddings of tokens, as the model's own table has them: without positions.</summary>
    /// <param name="embeddings">[N, C]</param>
    /// <param name="width">C.</param>
    /// <exception cref="ArgumentException">The width does not divide the length.</exception>
    public static InferenceInput OfEmbeddings(ReadOnlySpan<float> embeddings, int width)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        if (embeddings.Length % width != 0)
            throw new ArgumentException($"{embeddings.Length} numbers are no embeddings of width {width}", nameof(embeddings));
        return new([], embeddings, width);
    }

    /// <summary>Token ids.</summary>
    /// <param name="ids">[N]</param>
    public static implicit operator InferenceInput(ReadOnlySpan<int> ids) => new(ids, [], 0);

    /// <inheritdoc cref="op_Implicit(ReadOnlySpan{int})"/>
    public static implicit operator InferenceInput(int[] ids) => new(ids, [], 0);

    /// <summary>Some of the tokens.</summary>
    internal InferenceInput Slice(int start, int count) =>
        IsEmbeddings ? new([], Embeddings.Slice(start * Width, count * Width), Width) : new(Ids.Slice(start, count), [], 0);
}
