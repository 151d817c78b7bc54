namespace Transformer.Diagrams;

/// <summary>Blocks that follow each other, told by how they repeat. A block is the number of one of those that differ.</summary>
/// <param name="Unit">What is repeated: which block, and how many of it in a row.</param>
/// <param name="Repetitions">How many times.</param>
/// <param name="Rest">The blocks behind the last full repetition.</param>
internal sealed record BlockRuns(
    IReadOnlyList<(int Block, int Count)> Unit, int Repetitions, IReadOnlyList<(int Block, int Count)> Rest)
{
    /// <summary>How a sequence of blocks repeats.</summary>
    public static BlockRuns Of(int[] sequence)
    {
        var period = Enumerable.Range(1, sequence.Length).FirstOrDefault(Repeats, 1);
        var repetitions = sequence.Length / period;
        if (repetitions < 2) (period, repetitions) = (sequence.Length, sequence.Length == 0 ? 0 : 1);
        return new([.. Runs(sequence[..period])], repetitions, [.. Runs(sequence[(period * repetitions)..])]);

        bool Repeats(int period) => Enumerable.Range(0, sequence.Length).All(at => sequence[at] == sequence[at % period]);
    }

    private static IEnumerable<(int Block, int Count)> Runs(int[] blocks)
    {
        for (int first = 0, end; first < blocks.Length; first = end)
        {
            for (end = first + 1; end < blocks.Length && blocks[end] == blocks[first];) end++;
            yield return (blocks[first], end - first);
        }
    }
}
