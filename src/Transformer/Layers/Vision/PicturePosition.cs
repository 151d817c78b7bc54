using TorchSharp.Modules;
using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Layers.Vision;

// N patches · C' width of the encoder

/// <summary>
/// Learned positions in two dimensions: a vector of the row and one of the column, or one of each place (Dosovitskiy et al. 2020,
/// arXiv:2010.11929, appendix D.4).
/// </summary>
public sealed class PicturePosition : nn.Module<Tensor, Tensor>
{
    private readonly Embedding? table;
    private readonly Embedding? rows;
    private readonly Embedding? columns;

    /// <param name="kind">What is learned.</param>
    /// <param name="side">The patches of a row, and of a column.</param>
    /// <param name="width">C'.</param>
    public PicturePosition(GridPositions kind, int side, int width) : base(nameof(PicturePosition))
    {
        if (kind == GridPositions.Table) table = nn.Embedding((long)side * side, width);
        else (rows, columns) = (nn.Embedding(side, width), nn.Embedding(side, width));
        RegisterComponents();
    }

    /// <param name="patches">[I, N, C']</param>
    /// <returns>The same with positions added.</returns>
    public override Tensor forward(Tensor patches) => patches
        + (table?.weight ?? (rows!.weight!.unsqueeze(1) + columns!.weight!.unsqueeze(0)).flatten(0, 1));    // [N, C']
}
