using System.Runtime.CompilerServices;
using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

// B rows · S slots · G key/value heads · D head width

/// <summary>
/// Keys and values of the tokens so far. Token s of a row is in slot s mod S. Without a window S is the most tokens that a row may have;
/// with one it is the window's reach plus the tokens of a batch, so that no token overwrites what another one still sees. Eight keys are
/// interleaved component by component, so that a vector holds one component of each and eight scores are computed at once; values are
/// contiguous.
/// </summary>
internal sealed unsafe class KeyValueState : MixerState
{
    /// <summary>How many keys are interleaved.</summary>
    public const int Lanes = 8;

    private readonly NativeArray<float> keys, values;
    private NativeArray<float>? unrotated;
    private readonly int heads, width, memory;
    private readonly int[] held;
    private readonly int[] rotated;    // of each row, how many of the unrotated keys are rotated to where they stand

    /// <param name="rows">B.</param>
    /// <param name="heads">G.</param>
    /// <param name="slots">S at least; it becomes a multiple of eight.</param>
    /// <param name="width">D.</param>
    /// <param name="isWhole">Whether every token of a row has a slot of its own.</param>
    /// <param name="keepsUnrotated">Whether keys are stored unrotated and rotated again in each batch.</param>
    /// <param name="memory">How many tokens of the segments before are remembered.</param>
    public KeyValueState(int rows, int heads, int slots, int width, bool isWhole, bool keepsUnrotated, int memory = 0)
    {
        (this.memory, held) = (memory, new int[rows]);
        Slots = (slots + Lanes - 1) / Lanes * Lanes;
        (this.heads, this.width, CanTruncate) = (heads, width, isWhole && !keepsUnrotated && memory == 0);
        keys = new((long)rows * heads * Slots * width);
        values = new((long)rows * heads * Slots * width);
        rotated = new int[rows];
        if (keepsUnrotated) unrotated = new(keys.Length);
    }

    /// <summary>S.</summary>
    public int Slots { get; }

    /// <summary>Whether keys are stored unrotated and rotated again in each batch.</summary>
    public bool KeepsUnrotated => unrotated is not null;

    /// <inheritdoc/>
    /// <remarks>False where angles follow the length: keys rotated for the longer text are wrong for the shorter one.</remarks>
    public override bool CanTruncate { get; }

    /// <inheritdoc/>
    public override long Bytes => keys.Bytes + values.Bytes + (unrotated?.Bytes ?? 0);

    /// <summary>How many tokens of the segments before a row remembers; their keys stand before those of its segment.</summary>
    public int Held(int row) => held[row];

    /// <summary>The keys of a row's head: [S / 8, D, 8].</summary>
    public float* Keys(int row, int head) => keys.Pointer + At(row, head);

    /// <summary>The values of a row's head: [S, D].</summary>
    public float* Values(int row, int head) => values.Pointer + At(row, head);

    /// <summary>Stores the key and the value of a token.</summary>
    /// <param name="row">Its row.</param>
    /// <param name="head">The head.</param>
    /// <param name="position">Its position in its row.</param>
    /// <param name="key">[D]</param>
    /// <param name="value">[D]</param>
    public void Keep(int row, int head, int position, float* key, float* value)
    {
        var slot = (held[row] + position) % Slots;
        if (unrotated is null) StoreKey(Keys(row, head), slot, key);
        else new ReadOnlySpan<float>(key, width).CopyTo(new Span<float>(unrotated.Pointer + At(row, head) + slot * width, width));
        new ReadOnlySpan<float>(value, width).CopyTo(new Span<float>(Values(row, head) + slot * width, width));
    }

    /// <summary>Rotates a row's keys, where they are stored unrotated: those that are new or stand elsewhere than in the last batch and,
    /// where angles follow the length, all.</summary>
    /// <param name="rotation">The angles.</param>
    /// <param name="row">The row.</param>
    /// <param name="first">The first new key.</param>
    /// <param name="count">How many keys there are.</param>
    /// <param name="length">The length of the text, which the angles depend on.</param>
    [SkipLocalsInit]
    public void Rotate(RotaryAngles rotation, int row, int first, int count, int length)
    {
        var (cos, sin) = rotation.OfKeys(length);
        var start = rotation.FollowsLength ? 0 : Math.Min(first, rotated[row]);
        rotated[row] = count;
        var key = stackalloc float[width];
        for (var head = 0; head < heads; head++)
        {
            for (var s = start; s < count; s++)
            {
                unrotated!.Span(At(row, head) + s * width, width).CopyTo(new Span<float>(key, width));
                RotaryAngles.Rotate(key, (float*)cos + s * width / 2, (float*)sin + s * width / 2, width);
                StoreKey(Keys(row, head), s, key);
            }
        }
    }

    /// <inheritdoc/>
    public override void Clear(int row)
    {
        if (memory == 0) return;
        held[row] = 0;
        ClearFrom(row, 0);
    }

    /// <inheritdoc/>
    public override void Carry(int row, int length)
    {
        if (memory == 0) return;
        var all = held[row] + length;
        var (kept, first) = (Math.Min(memory, all), all - Math.Min(memory, all));
        for (var head = 0; head < heads; head++)
        {
            float* key = Keys(row, head), value = Values(row, head);
            for (var s = 0; s < kept; s++)
                for (var d = 0; d < width; d++)
                    (key[KeyAt(s, d)], value[ValueAt(s, d)]) = (key[KeyAt(first + s, d)], value[ValueAt(first + s, d)]);
        }
        held[row] = kept;
        ClearFrom(row, 0);
    }

    /// <inheritdoc/>
    public override void ClearFrom(int row, int length)
    {
        for (var head = 0; head < heads; head++)
        {
            float* key = Keys(row, head), value = Values(row, head);
            for (var s = held[row] + length; s < Slots; s++)
                for (var d = 0; d < width; d++) key[KeyAt(s, d)] = value[ValueAt(s, d)] = 0;
            for (var s = held[row] + length; unrotated is not null && s < Slots; s++)
                unrotated.Span(At(row, head) + s * width, width).Clear();
        }
    }

    /// <inheritdoc/>
    public override void Copy(int from, int to, int length)
    {
        rotated[to] = rotated[from];
        held[to] = held[from];
        var count = Used(memory == 0 ? length : Slots);
        for (var head = 0; head < heads; head++)
        {
            keys.Span(At(from, head), count).CopyTo(keys.Span(At(to, head), count));
            values.Span(At(from, head), count).CopyTo(values.Span(At(to, head), count));
            unrotated?.Span(At(from, head), count).CopyTo(unrotated.Span(At(to, head), count));
        }
    }

    /// <inheritdoc/>
    public override void KeepUnrotated() => unrotated ??= new(keys.Length);

    /// <inheritdoc/>
    public override void Drop(int row, int first, int count, int length)
    {
        rotated[row] = Math.Min(rotated[row], first);
        var (from, to, moved) = ((first + count) * width, first * width, (length - first - count) * width);
        for (var head = 0; head < heads; head++)
        {
            MoveUp(values);
            if (unrotated is not null) MoveUp(unrotated);
            else
                for (var slot = first; slot < length - count; slot++)
                    for (var d = 0; d < width; d++) Keys(row, head)[KeyAt(slot, d)] = Keys(row, head)[KeyAt(slot + count, d)];

            void MoveUp(NativeArray<float> numbers) =>
                numbers.Span(At(row, head) + from, moved).CopyTo(numbers.Span(At(row, head) + to, moved));
        }
    }

    /// <inheritdoc/>
    public override StatePart[] Parts(int row, int length) => memory > 0
    ? [
        Part("keys", keys, row, Slots, KeyAt), Part("values", values, row, Slots, ValueAt),
        new("held", 1, to => to[0] = held[row], from => held[row] = Math.Clamp((int)from[0], 0, memory)),
    ]
    : [
        unrotated is null
            ? Part("keys", keys, row, length, KeyAt)
            : Part("unrotated_keys", unrotated, row, length, ValueAt),
        Part("values", values, row, length, ValueAt),
    ];

    // Slots of the last group that no token is in are saved as zeros: what was there before must not tell two states apart.
    private StatePart Part(string name, NativeArray<float> numbers, int row, int length, Func<int, int, int> indexOf)
    {
        var count = Used(length);
        return new(name, heads * count, CopyTo, CopyFrom);

        void CopyTo(Span<float> to)
        {
            for (var head = 0; head < heads; head++)
            {
                var part = to.Slice(head * count, count);
                numbers.Span(At(row, head), count).CopyTo(part);
                for (var slot = Math.Min(length, Slots); slot < count / width; slot++)
                    for (var d = 0; d < width; d++) part[indexOf(slot, d)] = 0;
            }
        }

        void CopyFrom(ReadOnlySpan<float> from)
        {
            rotated[row] = 0;
            for (var head = 0; head < heads; head++) from.Slice(head * count, count).CopyTo(numbers.Span(At(row, head), count));
        }
    }

    // How many numbers of a head so many tokens use, from the first slot on; keys are in groups of eight.
    private int Used(int length) => (Math.Min(length, Slots) + Lanes - 1) / Lanes * Lanes * width;

    private void StoreKey(float* keys, int slot, float* key)
    {
        var to = keys + KeyAt(slot, 0);
        for (var d = 0; d < width; d++) to[d * Lanes] = key[d];
    }

    private int KeyAt(int slot, int d) => (slot / Lanes * width + d) * Lanes + slot % Lanes;

    private int ValueAt(int slot, int d) => slot * width + d;

    private long At(int row, int head) => ((long)row * heads + head) * Slots * width;

    /// <inheritdoc/>
    public override void Dispose()
    {
        keys.Dispose();
        values.Dispose();
        unrotated?.Dispose();
    }
}
