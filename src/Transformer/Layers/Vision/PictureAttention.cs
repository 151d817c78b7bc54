using Transformer.Configuration;
using Transformer.Layers.Attention;
using static TorchSharp.torch;

namespace Transformer.Layers.Vision;

// B batch · T tokens · I pictures · K pictures of a row · N vectors of a picture · C width · H heads · D head width

/// <summary>
/// Cross-attention to pictures (Flamingo, Alayrac et al. 2022, arXiv:2204.14198, section 3.1): a token sees the vectors of the last picture
/// before it, or in its own place, and of no other. Before the first picture the attention is zero.
/// </summary>
public sealed class PictureAttention : CrossAttention
{
    private readonly int heads, headWidth, vectors;

    /// <param name="config">Heads and their width.</param>
    /// <param name="width">C.</param>
    /// <param name="scale">What q k^T is multiplied by; 1 / sqrt(D) where null.</param>
    /// <param name="sourceWidth">The width of the vectors of a picture; C where null.</param>
    public PictureAttention(GatedCrossAttentionConfig config, int width, double? scale = null, int? sourceWidth = null)
        : base(width, config.Heads, bias: false, scale, config.HeadWidthAt(width), sourceWidth)
    {
        (heads, headWidth, vectors) = (config.Heads, config.HeadWidthAt(width), config.Vectors);
    }

    /// <summary>An empty state for generation: keys and values of the last picture of each row.</summary>
    /// <param name="rows">B, the number of sequences.</param>
    /// <param name="device">The state's device.</param>
    public PictureState NewState(int rows, Device device) => new(rows, heads, vectors, headWidth, device);

    /// <param name="x">[B, T, C]</param>
    /// <param name="context">The pictures of this pass, and the states of a pass that goes on from others.</param>
    /// <returns>[B, T, C]</returns>
    public override Tensor forward(Tensor x, ForwardContext context)
    {
        var state = (PictureState?)context.StateOf(this);
        if (context.Pictures is { } pictures) return See(x, pictures, state, context);
        return state is { HasPictures: true }
            ? Attend(x, state.Keys.to(x.dtype), state.Values.to(x.dtype), mask: null, context) * state.Has.to(x.dtype)
            : zeros_like(x);
    }

    private Tensor See(Tensor x, SeenPictures pictures, PictureState? state, ForwardContext context)
    {
        var (k, v) = KeysAndValues(pictures.Vectors.to(x.dtype));                                   // 2 x [I, H, N, D]
        var (rows, count) = (x.shape[0], pictures.OfRows.shape[1]);
        (k, v) = (OfRows(k), OfRows(v));                                                            // 2 x [B, K, H, N, D]
        var before = state is null ? 0 : 1;
        // The picture that the state holds comes first, as number 0.
        if (state is not null)
            (k, v) = (cat([state.Keys.to(k.dtype).unsqueeze(1), k], 1), cat([state.Values.to(v.dtype).unsqueeze(1), v], 1));
        var number = arange(1 - before, count + 1, device: x.device).repeat_interleave(k.shape[3]);  // [K N]
        var sees = number == pictures.Last.unsqueeze(-1);                                           // [B, T, K N]
        var any = pictures.Last > 0;                                                                // [B, T]
        if (state is not null) any = any.logical_or(state.Has.squeeze(-1) > 0);
        var y = Attend(x, Flat(k), Flat(v), sees.logical_or(any.logical_not().unsqueeze(-1)).unsqueeze(1), context);
        state?.Keep(k, v, pictures.Last, context);
        return y * any.unsqueeze(-1).to(y.dtype);

        Tensor OfRows(Tensor all) => all.index_select(0, pictures.OfRows.flatten()).view([rows, count, .. all.shape[1..]]);

        static Tensor Flat(Tensor all) => all.transpose(1, 2).flatten(2, 3);                        // [B, H, K N, D]
    }
}
