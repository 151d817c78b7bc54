namespace Transformer.Configuration;

// N ranks

/// <summary>
/// The description of a parameter before there is a model: the layer's config record yields it, and checkpoints, counts, initialization,
/// optimizers and tensor parallelism use it.
/// </summary>
/// <param name="Name">Its name, relative to the module that it was asked of.</param>
/// <param name="Shape">Its dimensions, those of a matrix [outputs, inputs].</param>
/// <param name="Draw">What it is before the first step.</param>
public sealed record ParameterSpec(string Name, long[] Shape, ParameterDraw Draw)
{
    /// <summary>The dimension that N ranks split under tensor parallelism; null where each has all of it.</summary>
    public int? SplitDimension { get; init; }

    /// <summary>Whether each rank has all of it but only a part of its gradient, that of its own heads or hidden units.</summary>
    public bool IsPartial { get; init; }

    /// <summary>Whether it is brought back to [0, 1] after every step.</summary>
    public bool IsBounded { get; init; }

    /// <summary>The kind of component that it is counted with.</summary>
    public ModelComponent Component { get; init; }

    /// <summary>The block that it is in; null before and after the blocks.</summary>
    public BlockSpec? Block { get; init; }

    /// <summary>Whether weight decay applies: to two or more dimensions, as in GPT-2.</summary>
    public bool Decays => Shape.Length >= 2;

    /// <summary>Whether it is a matrix between embedding and head: what muP rescales and Muon makes orthogonal.</summary>
    public bool IsHidden => (Draw switch { NormalDraw normal => normal.Role, ZeroDraw zero => zero.Role, _ => (MatrixRole?)null })
        is MatrixRole.Hidden or MatrixRole.Value or MatrixRole.ResidualProjection;

    /// <summary>The number of its elements.</summary>
    public long Count => Shape.Aggregate(1L, (product, size) => product * size);

    /// <summary>The parameter as one of a module that contains its own.</summary>
    public ParameterSpec Within(string module) => this with { Name = $"{module}.{Name}" };

    /// <summary>A vector that begins with ones, a norm's weight for one.</summary>
    public static ParameterSpec Ones(string name, long length) => new(name, [length], new ConstantDraw(1));

    /// <summary>A linear map that every rank has whole.</summary>
    public static ParameterSpec Matrix(string name, long outputs, long inputs, MatrixRole role) =>
        new(name, [outputs, inputs], new NormalDraw(role));

    /// <summary>A linear map whose outputs are split: heads or hidden units (Shoeybi et al. 2019, arXiv:1909.08053, section 3).</summary>
    public static IEnumerable<ParameterSpec> ColumnParallel(
        string module, long outputs, long inputs, bool hasBias = false, MatrixRole role = MatrixRole.Hidden)
    {
        yield return Matrix($"{module}.weight", outputs, inputs, role) with { SplitDimension = 0 };
        if (hasBias) yield return new($"{module}.bias", [outputs], new ConstantDraw(0)) { SplitDimension = 0 };
    }

    /// <summary>
    /// A linear map whose inputs are split, back into the residual stream: the ranks' outputs add up, and one of them adds the bias (the
    /// same section).
    /// </summary>
    public static IEnumerable<ParameterSpec> RowParallel(string module, long outputs, long inputs, bool hasBias = false)
    {
        yield return Matrix($"{module}.weight", outputs, inputs, MatrixRole.ResidualProjection) with { SplitDimension = 1 };
        if (hasBias) yield return new($"{module}.bias", [outputs], new ConstantDraw(0)) { IsPartial = true };
    }
}
