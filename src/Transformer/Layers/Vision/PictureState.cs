using static TorchSharp.torch;

namespace Transformer.Layers.Vision;

// B batch · H heads · N vectors of a picture · D head width

/// <summary>Keys and values of the last picture of each row, which every later token sees.</summary>
public sealed class PictureState : LayerState
{
    internal PictureState(int rows, int heads, int vectors, int headWidth, Device device) : this(
        zeros(rows, heads, vectors, headWidth, device: device), zeros(rows, heads, vectors, headWidth, device: device),
        zeros(rows, 1, 1, device: device))
    {
    }

    private PictureState(Tensor keys, Tensor values, Tensor has) : base(keys, values, has) => (Keys, Values, Has) = (keys, values, has);

    /// <summary>[B, H, N, D]</summary>
    internal Tensor Keys { get; }

    /// <summary>[B, H, N, D]</summary>
    internal Tensor Values { get; }

    /// <summary>1 for a row that has a picture, else 0: [B, 1, 1].</summary>
    internal Tensor Has { get; }

    /// <summary>Whether any row has one.</summary>
    internal bool HasPictures => Has.any().item<bool>();

    // A text that ends before its last picture would see an earlier one, which is not kept.
    /// <inheritdoc/>
    public override bool CanTruncate => false;

    /// <inheritdoc/>
    public override PictureState Narrow(int first, int count) =>
        new(Keys.narrow(0, first, count), Values.narrow(0, first, count), Has.narrow(0, first, count));

    /// <summary>Keeps the last picture that a row's new tokens have; padding has none.</summary>
    /// <param name="keys">[B, 1 + K, H, N, D], first the picture that the state holds.</param>
    /// <param name="values">[B, 1 + K, H, N, D]</param>
    /// <param name="last">How many of the K stand before a place, or in it: [B, T].</param>
    /// <param name="context">How many tokens each row gets.</param>
    internal void Keep(Tensor keys, Tensor values, Tensor last, ForwardContext context)
    {
        for (var row = 0; row < keys.shape[0]; row++)
        {
            var tokens = context.NewTokensOf(row, last.shape[1]);
            var picture = tokens == 0 ? 0 : last[row, tokens - 1].item<long>();
            if (picture == 0) continue;
            Keys[row].copy_(keys[row, picture]);
            Values[row].copy_(values[row, picture]);
            Has[row].fill_(1);
        }
    }
}
