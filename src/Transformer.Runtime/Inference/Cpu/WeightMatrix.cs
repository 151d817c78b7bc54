namespace Transformer.Inference.Cpu;

// N tokens · I inputs · O outputs

/// <summary>
/// The weights of a linear map as a kernel reads them, [O, I]. Every kernel computes each output by the same operations in the same order,
/// however many tokens and threads there are, so that a text is bit-identical alone and in a batch.
/// </summary>
internal abstract unsafe class WeightMatrix(int outputs, int inputs) : IDisposable
{
    /// <summary>O.</summary>
    public int Outputs { get; } = outputs;

    /// <summary>I.</summary>
    public int Inputs { get; } = inputs;

    /// <summary>The bytes that one batch reads.</summary>
    public abstract long Bytes { get; }

    /// <summary>The packed weights, one behind the other: <see cref="Bytes"/> of them.</summary>
    public abstract byte* Address { get; }

    /// <summary>Whether the kernel reads the inputs as <see cref="Activations.Quantize(int)"/> makes them.</summary>
    public abstract bool TakesQuantized { get; }

    /// <summary>y_o = sum over i of w_oi x_i for some outputs of all tokens.</summary>
    /// <param name="x">[N, I]</param>
    /// <param name="tokens">N.</param>
    /// <param name="first">The first output.</param>
    /// <param name="end">One past the last output.</param>
    /// <param name="y">[N, stride], of which the columns first .. end - 1 are written.</param>
    /// <param name="stride">From one token's outputs to the next's.</param>
    public abstract void Multiply(Activations x, int tokens, int first, int end, float* y, long stride);

    /// <summary>The weights of one output in single precision: [I].</summary>
    public abstract void Read(int output, float* row);

    /// <inheritdoc/>
    public virtual void Dispose() => GC.SuppressFinalize(this);
}
