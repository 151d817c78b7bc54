using static TorchSharp.torch;

namespace Transformer.Model.Hierarchy;

// B batch · T tokens · S groups · C width

/// <summary>
/// Groups of tokens that end at boundaries (Nawrot et al. 2023, arXiv:2211.09761, section 3): a boundary belongs to the group that it ends.
/// </summary>
internal static class TokenGroups
{
    private const double Epsilon = 1e-9;    // the authors', added to the size of a group

    /// <summary>
    /// The sums of the vectors of each group and their number. A boundary gets the gradient that it has in the mean of its own group: with
    /// G that of the mean m of n vectors h, the sum over the tokens l of the group behind it of G (h_l - m) / n.
    /// </summary>
    /// <param name="x">h: [B, T, C]</param>
    /// <param name="ends">1 at a boundary, else 0, perhaps with a graph: [B, T].</param>
    /// <param name="groups">S, more than the boundaries of any row: what is behind the last one is a group that is open.</param>
    /// <param name="isText">1 at a token, 0 at padding: [B, T]; all are tokens where null.</param>
    /// <returns>[B, S, C] and [B, S]</returns>
    public static (Tensor Sums, Tensor Counts) Sum(Tensor x, Tensor ends, int groups, Tensor? isText = null)
    {
        var (B, C) = (x.shape[0], x.shape[2]);
        var before = ends.cumsum(1) - ends;                                                     // [B, T], the boundaries before a token
        var index = OfRows(before, groups).flatten();                                           // [B T], into B S groups
        // 1 as a number. Its gradient goes to all earlier boundaries; those of earlier groups get the sum of h - m over a whole group,
        // which is zero.
        var weights = isText ?? ones_like(before);                                              // [B, T]
        if (ends.requires_grad) weights = weights + (before - before.detach());
        var sums = zeros([B * groups, C], device: x.device).index_add(0, index, (x * weights.unsqueeze(-1)).flatten(0, 1), 1);
        var counts = zeros([B * groups], device: x.device).index_add(0, index, weights.flatten(), 1);
        return (sums.view(B, groups, C), counts.view(B, groups));
    }

    /// <summary>The means of groups: [B, S, C], zeros for a group without tokens.</summary>
    public static Tensor Mean(Tensor sums, Tensor counts) => sums / (counts + Epsilon).unsqueeze(-1);

    /// <summary>What each token receives.</summary>
    /// <param name="rows">[B, S, C]</param>
    /// <param name="index">Which of its row's S vectors: [B, T], whole numbers.</param>
    /// <returns>[B, T, C]</returns>
    public static Tensor Receive(Tensor rows, Tensor index) =>
        rows.flatten(0, 1).index_select(0, OfRows(index, rows.shape[1]).flatten()).view(index.shape[0], index.shape[1], rows.shape[2]);

    // Numbers of the groups of a row as numbers of those of all rows: [B, T].
    private static Tensor OfRows(Tensor index, long groups) =>
        index.detach().to(ScalarType.Int64) + groups * arange(index.shape[0], device: index.device).unsqueeze(1);
}
