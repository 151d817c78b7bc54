
namespace Transformer.Inference.Cpu;

// N tokens · I inputs · O outputs

/// <summary>
/// Several linear maps of the same inputs in one parallel step: queries, keys and values, or gate and up. The rows of all of them are cut
/// into pieces, and each free thread takes the next.
/// </summary>
internal sealed unsafe class MatrixProducts : IParallelKernel
{
    private const int PiecesAThread = 8;
    private const long LeastBytes = 16 << 10;
    private const int RowsPerGroup = QuantizedBlocks.Rows;    // no piece ends within interleaved rows

    private readonly ThreadTeam team;
    private readonly LinearMap[] maps;
    private readonly PerTokenKernel quantization;
    private readonly int[] rows, ends;    // of each map: a piece's rows, and one past its last piece
    private Activations x = null!;
    private int tokens;

    /// <param name="team">The threads.</param>
    /// <param name="maps">Maps of equal inputs.</param>
    public MatrixProducts(ThreadTeam team, params LinearMap[] maps)
    {
        (this.team, this.maps) = (team, maps);
        quantization = new PerTokenKernel(team, token => x.Quantize(token));
        var bytes = maps.Sum(map => map.Weight.Bytes);
        var pieceBytes = Math.Max(LeastBytes, bytes / (PiecesAThread * team.Threads));
        rows = [.. maps.Select(map =>
            (int)Math.Max(RowsPerGroup, pieceBytes / Math.Max(1, map.Weight.Bytes / map.Weight.Outputs) / RowsPerGroup * RowsPerGroup))];
        ends = new int[maps.Length];
        for (var i = 0; i < maps.Length; i++) ends[i] = (i == 0 ? 0 : ends[i - 1]) + (maps[i].Weight.Outputs + rows[i] - 1) / rows[i];
    }

    /// <summary>Computes the outputs of all maps.</summary>
    /// <param name="x">[N, I]</param>
    /// <param name="tokens">N.</param>
    public void Run(Activations x, int tokens)
    {
        (this.x, this.tokens) = (x, tokens);
        if (maps[0].Weight.TakesQuantized) quantization.Run(tokens);
        team.Run(this, ends[^1]);
    }

    /// <inheritdoc/>
    public void Do(int piece, int thread)
    {
        var i = 0;
        while (piece >= ends[i]) i++;
        var first = (piece - (i == 0 ? 0 : ends[i - 1])) * rows[i];
        maps[i].Apply(x, tokens, first, Math.Min(first + rows[i], maps[i].Weight.Outputs));
    }
}
