using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Transformer.Layers.Residuals;

// n streams · B batch · T tokens · C width

/// <summary>
/// n streams in place of one (Zhu et al. 2024, arXiv:2409.19606, the static form): with learned weights a sub-layer reads a mixture of
/// them, they are mixed with each other, and its output is added to each. At initialization each sub-layer reads one stream in turn,
/// streams are not mixed, and the output is added to all alike, so that every stream equals that of pre-norm.
/// </summary>
public sealed class HyperConnections : Residual
{
    // All are stored as vectors, also the matrix of the streams, so that neither weight decay nor Muon applies to them.
    private readonly Parameter input;
    private readonly Parameter mixing;
    private readonly Parameter output;
    private readonly Func<Tensor, Tensor> norm;
    private readonly int streams;

    /// <param name="norm">Before the sub-layer.</param>
    /// <param name="streams">n.</param>
    /// <param name="sublayer">Which sub-layer of the model, from 0 on; it starts by reading stream sublayer mod n.</param>
    public HyperConnections(nn.Module<Tensor, Tensor> norm, int streams, int sublayer) : base(nameof(HyperConnections))
    {
        (this.norm, this.streams) = (norm.call, streams);
        input = new Parameter(tensor([.. Enumerable.Range(0, streams).Select(stream => stream == sublayer % streams ? 1f : 0f)]));
        mixing = new Parameter(tensor([.. Enumerable.Range(0, streams * streams).Select(at => at % (streams + 1) == 0 ? 1f : 0f)]));
        output = new Parameter(ones(streams));
        RegisterComponents();
    }

    /// <param name="x">[B, T, C]</param>
    /// <returns>[n, B, T, C]</returns>
    public override Tensor Open(Tensor x) => x.unsqueeze(0).expand(streams, -1, -1, -1);

    /// <param name="stream">[n, B, T, C]</param>
    /// <param name="sublayer">[B, T, C] to [B, T, C]</param>
    /// <returns>[n, B, T, C]</returns>
    public override Tensor Apply(Tensor stream, Func<Tensor, Tensor> sublayer)
    {
        var y = sublayer(norm(Mix(input.view(1, streams), stream).squeeze(0)));                            // [B, T, C]
        return Mix(mixing.view(streams, streams), stream) + output.view(streams, 1, 1, 1) * y;             // [n, B, T, C]
    }

    /// <summary>
    /// The mean of the streams: the paper's sum but for the scale, which the last norm takes away, and so equal to pre-norm at first.
    /// </summary>
    /// <param name="stream">[n, B, T, C]</param>
    /// <returns>[B, T, C]</returns>
    public override Tensor Close(Tensor stream) => stream.mean([0L]);                                      // [B, T, C]

    // Each row of the weights [m, n] mixes the n streams into one: [m, B, T, C].
    private static Tensor Mix(Tensor weights, Tensor stream) => matmul(weights, stream.flatten(1)).unflatten(1, stream.shape[1..]);
}
