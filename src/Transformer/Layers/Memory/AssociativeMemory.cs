using Transformer.Configuration;
using Transformer.Layers.Attention;
using static TorchSharp.torch;

namespace Transformer.Layers.Memory;

// B batch · T places, the last m of them memory tokens · C width · F features

/// <summary>
/// The associative memory of a block (Rodkin et al. 2024, arXiv:2407.04841, equations 1-4, with the constants of the authors' code): before
/// the block every place reads h + phi(q) A / (phi(q) z); behind it each memory token writes by the delta rule,
/// A + b phi(k) (v - old), z + g phi(k), where old is what phi(k) read and g how little of it z knew. Nothing is read in the first segment.
/// </summary>
public sealed class AssociativeMemory : nn.Module
{
    private readonly int tokens, nu, features, width;
    private readonly Linear q_proj;
    private readonly Linear k_proj;
    private readonly Linear v_proj;
    private readonly Linear b_proj;

    /// <param name="config">Memory tokens and features.</param>
    /// <param name="width">C.</param>
    public AssociativeMemory(AssociativeMemoryConfig config, int width) : base(nameof(AssociativeMemory))
    {
        (tokens, nu, features, this.width) = (config.Tokens, config.Nu, config.Features, width);
        q_proj = new Linear(width, config.KeyWidth, hasBias: false);
        k_proj = new Linear(width, config.KeyWidth, hasBias: false);
        v_proj = new Linear(width, width, hasBias: false);
        b_proj = new Linear(width, 1, hasBias: true);
        RegisterComponents();
    }

    /// <summary>An empty state for generation.</summary>
    internal AssociativeState NewState(int rows, Device device) => new(rows, features, width, device);

    /// <summary>A block between reading and writing.</summary>
    /// <param name="stream">[B, T, C]</param>
    /// <param name="context">The memory before and after this segment, or the states of generation.</param>
    /// <param name="block">[B, T, C] to [B, T, C].</param>
    /// <returns>The block's output: [B, T, C].</returns>
    public Tensor Apply(Tensor stream, ForwardContext context, Func<Tensor, Tensor> block)
    {
        using var scope = NewDisposeScope();
        if (context.States?[this] is AssociativeState state)
        {
            var output = block(Read(stream, state.Matrix, state.Normalizer));
            state.Write(output, context, (memory, matrix, normalizer, begun) => Written(memory, matrix, normalizer, begun));
            return scope.MoveToOuter(output);
        }
        var before = context.MemoryBefore?.Of(this);
        var begun = before is null || context.MemoryBefore!.AllHaveBegun ? null : context.MemoryBefore.Begun(3, stream.device);
        var (matrix, normalizer) = before is null ? (null, null)
            : begun is null ? (before[0], before[1])
            : (before[0] * begun, before[1] * begun.squeeze(-1));                                  // [B, F, C], [B, F]
        var result = block(matrix is null ? stream : Read(stream, matrix, normalizer!));
        if (context.MemoryAfter is { } after)
        {
            var memory = result.narrow(1, result.shape[1] - tokens, tokens);                        // [B, m, C]
            var (addedMatrix, addedNormalizer) = Written(memory, matrix, normalizer, begun);
            after.Keep(this, matrix is null ? addedMatrix : matrix + addedMatrix,
                normalizer is null ? addedNormalizer : normalizer + addedNormalizer);
        }
        return scope.MoveToOuter(result);
    }

    /// <summary>h + phi(q) A / (phi(q) z + epsilon).</summary>
    /// <param name="stream">h: [B, T, C].</param>
    /// <param name="matrix">A: [B, F, C].</param>
    /// <param name="normalizer">z: [B, F].</param>
    /// <returns>[B, T, C]</returns>
    private Tensor Read(Tensor stream, Tensor matrix, Tensor normalizer)
    {
        var q = Features(q_proj.call(stream));                                                      // [B, T, F]
        return stream + Recalled(q, matrix, normalizer);
    }

    // What memory tokens add to A and z: [B, F, C] and [B, F].
    private (Tensor Matrix, Tensor Normalizer) Written(Tensor memory, Tensor? matrix, Tensor? normalizer, Tensor? begun)
    {
        var k = Features(k_proj.call(memory));                                                      // [B, m, F]
        var v = v_proj.call(memory);                                                                // [B, m, C]
        var b = b_proj.call(memory).sigmoid();                                                      // [B, m, 1]
        if (matrix is null) return (matmul(k.transpose(1, 2), b * v), k.sum(1));
        var known = matmul(k, normalizer!.unsqueeze(-1)) + AssociativeMemoryConfig.Epsilon;         // [B, m, 1]
        var squares = k.square().sum(-1, keepdim: true) + AssociativeMemoryConfig.Epsilon;          // [B, m, 1]
        var g = (1 - known / squares).clamp(0, 1).detach();                                         // [B, m, 1]
        if (begun is not null) g = begun * g + (1 - begun);
        return (matmul(k.transpose(1, 2), b * (v - matmul(k, matrix) / known)), (g * k).sum(1));
    }

    private static Tensor Recalled(Tensor features, Tensor matrix, Tensor normalizer) =>
        matmul(features, matrix) / (matmul(features, normalizer.unsqueeze(-1)) + AssociativeMemoryConfig.Epsilon);

    // The authors pair feature i with i - j where Schlag et al. have i + j: the same features in another order.
    private Tensor Features(Tensor x) => FeatureMap.Dpfp(x, nu, backward: true);
}
