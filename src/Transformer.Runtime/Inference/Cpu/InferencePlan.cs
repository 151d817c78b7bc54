using Transformer.Configuration;
using Transformer.Inference.Cpu.Vision;

namespace Transformer.Inference.Cpu;

/// <summary>What the layers of a model share while they are made: its configuration and weights, the team and the buffers.</summary>
/// <param name="Model">The architecture.</param>
/// <param name="Weights">The weights by name.</param>
/// <param name="Team">The threads.</param>
/// <param name="Workspace">The buffers of a batch.</param>
/// <param name="RotaryAngles">The angles of a batch; null for models without rotary positions.</param>
/// <param name="Bias">What distances add to scores; null for models without such positions.</param>
internal sealed record InferencePlan(
    ModelConfig Model, CpuWeights Weights, ThreadTeam Team, Workspace Workspace, RotaryAngles? RotaryAngles, DistanceBias? Bias)
{
    /// <summary>Whether a token sees those up to itself; else all tokens of a whole context, which are read together.</summary>
    public bool IsCausal { get; init; } = true;

    /// <summary>The pictures that blocks see by cross-attention; null where there are none.</summary>
    public PictureSource? Pictures { get; init; }

    /// <summary>C.</summary>
    public int Width => Model.Width;

    /// <summary>A linear map in the model's format, with a bias where there is one.</summary>
    /// <param name="name">Its name without .weight and .bias.</param>
    /// <param name="output">The buffer of its result.</param>
    public unsafe LinearMap Map(string name, Activations output) =>
        new(Weights.Matrix($"{name}.weight"), Weights.VectorIfAny($"{name}.bias"), output);

    /// <summary>A linear map that is never packed, being too small or too sensitive to rounding.</summary>
    /// <param name="name">Its name without .weight and .bias.</param>
    /// <param name="output">The buffer of its result.</param>
    public unsafe LinearMap ExactMap(string name, Activations output) =>
        new(Weights.Exact($"{name}.weight"), Weights.VectorIfAny($"{name}.bias"), output);

    /// <summary>Maps of the same input, computed in one parallel step.</summary>
    public MatrixProducts Products(params LinearMap[] maps) => new(Team, maps);
}
