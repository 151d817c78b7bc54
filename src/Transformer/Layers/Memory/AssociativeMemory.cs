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

    /// <summary>What the block reads: h + phi(q) A / (phi(q) z + epsilon), or h itself in the first segment.</summary>
    /// <param name="stream">h: [B, T, C].</param>
    /// <param name="context">The memory before this segment, or the states of generation.</param>
    /// <returns>[B, T, C]</returns>
    public Tensor Read(Tensor stream, ForwardContext context)
    {
        using var scope = NewDisposeScope();
        if (context.States?[this] is AssociativeState state) return scope.MoveToOuter(Read(stream, state.Matrix, state.Normalizer));
        return Before(context, stream.device) is { } memory ? scope.MoveToOuter(Read(stream, memory.Matrix, memory.Normalizer)) : stream;
    }

    /// <summary>Writes what the block has made of the memory tokens to what the next segment reads.</summary>
    /// <param name="output">The block's output: [B, T, C].</param>
    /// <param name="context">The memory before and after this segment, or the states of generation.</param>
    public void Write(Tensor output, ForwardContext context)
    {
        using var scope = NewDisposeScope();
        if (context.States?[this] is AssociativeState state) state.Write(output, context, Written);
        if (context.MemoryAfter is not { } after) return;
        var memory = output.narrow(1, output.shape[1] - tokens, tokens);                            // [B, m, C]
        if (Before(context, output.device) is not { } before)
        {
            var (first, normalizer) = Written(memory, null, null, null);
            after.Keep(this, first, normalizer);
            return;
        }
        var (matrix, sum) = Written(memory, before.Matrix, before.Normalizer, before.Begun);
        after.Keep(this, before.Matrix + matrix, before.Normalizer + sum);
    }

    // A, z and which texts have begun (null where all have); null where no text has.
    private (Tensor Matrix, Tensor Normalizer, Tensor? Begun)? Before(ForwardContext context, Device device)
    {
        if (context.MemoryBefore?.Of(this) is not [var matrix, var normalizer]) return null;
        if (context.MemoryBefore.AllHaveBegun) return (matrix, normalizer, null);
        var begun = context.MemoryBefore.Begun(3, device);                                          // [B, 1, 1]
        return (where(begun > 0, matrix, 0), where(begun.squeeze(-1) > 0, normalizer, 0), begun);
    }

    private Tensor Read(Tensor stream, Tensor matrix, Tensor normalizer)
    {
        var q = Features(q_proj.call(stream));                                                      // [B, T, F]
        return stream + matmul(q, matrix) / (matmul(q, normalizer.unsqueeze(-1)) + AssociativeMemoryConfig.Epsilon);
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

    // The authors pair feature i with i - j where Schlag et al. have i + j: the same features in another order.
    private Tensor Features(Tensor x) => FeatureMap.Dpfp(x, nu, backward: true);
}
