using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

// B rows · S slots · d_c latent width · d_r rotary width

/// <summary>
/// The normalised latent vector of each token so far and behind it the rotated key, d_c + d_r numbers; token s of a row is in slot s. Eight
/// tokens are interleaved component by component, so that a vector holds one component of each and eight scores are computed at once.
/// There are no values beside them: these are the first d_c components.
/// </summary>
/// <param name="rows">B.</param>
/// <param name="slots">S at least; it becomes a multiple of eight.</param>
/// <param name="width">d_c + d_r.</param>
internal sealed unsafe class LatentState(int rows, int slots, int width) : MixerState
{
    private const int Lanes = KeyValueState.Lanes;

    private readonly long rowNumbers = (long)Groups(slots) * Lanes * width;
    private readonly NativeArray<float> latents = new((long)rows * Groups(slots) * Lanes * width);

    /// <inheritdoc/>
    public override long Bytes => latents.Bytes;

    /// <inheritdoc/>
    public override bool CanTruncate => true;

    /// <summary>The tokens of a row: [S / 8, d_c + d_r, 8].</summary>
    public float* Row(int row) => latents.Pointer + row * rowNumbers;

    /// <summary>Stores a token.</summary>
    /// <param name="row">Its row.</param>
    /// <param name="position">Its position in its row.</param>
    /// <param name="latent">[d_c + d_r]</param>
    public void Keep(int row, int position, float* latent)
    {
        var to = Row(row) + At(position, 0);
        for (var d = 0; d < width; d++) to[d * Lanes] = latent[d];
    }

    /// <inheritdoc/>
    public override void Clear(int row)
    {
    }

    /// <inheritdoc/>
    public override void ClearFrom(int row, int length)
    {
        for (var slot = length; slot < Groups(slots) * Lanes; slot++)
            for (var d = 0; d < width; d++) Row(row)[At(slot, d)] = 0;
    }

    /// <inheritdoc/>
    public override void Copy(int from, int to, int length) => Used(from, length).CopyTo(Used(to, length));

    /// <inheritdoc/>
    public override StatePart[] Parts(int row, int length)
    {
        return [new("latents", Used(row, length).Length, CopyTo, from => from.CopyTo(Used(row, length)))];

        // Slots of the last group that no token is in are saved as zeros: what was there before must not tell two states apart.
        void CopyTo(Span<float> to)
        {
            Used(row, length).CopyTo(to);
            for (var slot = length; slot < Groups(length) * Lanes; slot++)
                for (var d = 0; d < width; d++) to[At(slot, d)] = 0;
        }
    }

    private Span<float> Used(int row, int length) => new(Row(row), Groups(length) * Lanes * width);

    private static int Groups(int tokens) => (tokens + Lanes - 1) / Lanes;

    private int At(int slot, int d) => (slot / Lanes * width + d) * Lanes + slot % Lanes;

    /// <inheritdoc/>
    public override void Dispose() => latents.Dispose();
}
