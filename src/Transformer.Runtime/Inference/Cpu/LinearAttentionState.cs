using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

// B rows · H heads · F feature width · E value width

/// <summary>
/// What linear attention keeps of each row: a matrix a head, the sum of the keys' features where outputs are normalised by it, and the
/// convolutions' last inputs. Its size does not depend on the length of the text.
/// </summary>
/// <param name="rows">B.</param>
/// <param name="heads">H.</param>
/// <param name="features">F.</param>
/// <param name="values">E.</param>
/// <param name="tails">Of queries, keys and values; none where there are no convolutions.</param>
internal sealed unsafe class LinearAttentionState(int rows, int heads, int features, int values, params ConvolutionTail[] tails)
    : MixerState
{
    private readonly NativeArray<float> matrices = new((long)rows * heads * features * values);    // [B, H, F, E]
    private readonly NativeArray<float> keySums = new((long)rows * heads * features);              // [B, H, F]

    /// <inheritdoc/>
    public override long Bytes => matrices.Bytes + keySums.Bytes + tails.Sum(tail => tail.Bytes);

    /// <inheritdoc/>
    public override bool CanTruncate => false;

    /// <summary>The matrix of a row's head: [F, E].</summary>
    public float* Matrix(int row, int head) => matrices.Pointer + ((long)row * heads + head) * features * values;

    /// <summary>The sum of the keys' features of a row's head: [F].</summary>
    public float* KeySum(int row, int head) => keySums.Pointer + ((long)row * heads + head) * features;

    /// <summary>The last inputs of a convolution.</summary>
    /// <param name="which">0 that of the queries, 1 that of the keys, 2 that of the values.</param>
    public ConvolutionTail Tail(int which) => tails[which];

    /// <inheritdoc/>
    public override void Clear(int row)
    {
        Matrices(row).Clear();
        KeySums(row).Clear();
        foreach (var tail in tails) tail.Clear(row);
    }

    /// <inheritdoc/>
    public override void Copy(int from, int to, int length)
    {
        Matrices(from).CopyTo(Matrices(to));
        KeySums(from).CopyTo(KeySums(to));
        foreach (var tail in tails) tail.Copy(from, to, length);
    }

    /// <inheritdoc/>
    public override StatePart[] Parts(int row, int length) =>
    [
        new("matrices", heads * features * values, to => Matrices(row).CopyTo(to), from => from.CopyTo(Matrices(row))),
        new("key_sums", heads * features, to => KeySums(row).CopyTo(to), from => from.CopyTo(KeySums(row))),
        .. tails.SelectMany((tail, index) => tail.Parts(row, length).Select(part => part with { Name = $"{part.Name}.{index}" })),
    ];

    private Span<float> Matrices(int row) => matrices.Span((long)row * heads * features * values, heads * features * values);

    private Span<float> KeySums(int row) => keySums.Span((long)row * heads * features, heads * features);

    /// <inheritdoc/>
    public override void Dispose()
    {
        matrices.Dispose();
        keySums.Dispose();
        foreach (var tail in tails) tail.Dispose();
    }
}
