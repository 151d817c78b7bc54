using Transformer.Configuration;

namespace Transformer.Diagrams;

/// <summary>
/// The blocks of a model with those that are alike told once, and the order in which they come. Whether they read tokens or groups makes no
/// difference.
/// </summary>
internal sealed class BlockOrder
{
    private readonly ModelConfig model;
    private readonly List<BlockSpec> different = [];
    private readonly int[] sequence;    // for each block, which of the different ones it is

    /// <param name="model">The model.</param>
    public BlockOrder(ModelConfig model)
    {
        this.model = model;
        sequence = [.. model.Blocks().Select(IndexOf)];
    }

    /// <summary>The first of each kind of block.</summary>
    public IReadOnlyList<BlockSpec> Different => different;

    /// <summary>Nodes of a stack from top to bottom: blocks that follow each other, and hourglasses.</summary>
    public IEnumerable<(BlockRuns? Blocks, HourglassSpec? Hourglass)> PartsOf(IReadOnlyList<StackNode> nodes)
    {
        var run = new List<int>();
        foreach (var node in nodes)
        {
            if (node is BlockSpec block) run.Add(sequence[block.Depth]);
            if (node is not HourglassSpec hourglass) continue;
            if (run.Count > 0) yield return (BlockRuns.Of([.. run]), null);
            run.Clear();
            yield return (null, hourglass);
        }
        if (run.Count > 0) yield return (BlockRuns.Of([.. run]), null);
    }

    /// <summary>All blocks that are like one of the different ones.</summary>
    public IEnumerable<BlockSpec> AlikeTo(int block) => model.Blocks().Where(other => sequence[other.Depth] == block);

    /// <summary>What one of the different blocks is called: by its mixer's name where the configuration gives mixers names.</summary>
    public string NameOf(int block)
    {
        var name = model.Pattern is { Count: > 0 } pattern ? $" {pattern[different[block].Depth % pattern.Count]}" : "";
        var sameName = model.Pattern is null
            ? different
            : different.Where(other => model.Pattern[other.Depth % model.Pattern.Count] == name[1..]).ToList();
        return sameName.Count == 1 ? $"block{name}" : $"block{name} {(char)('A' + sameName.IndexOf(different[block]))}";
    }

    /// <summary>Which blocks are like one of the different ones: <c>all 4</c>, or <c>numbers 0-2, 4-6</c>.</summary>
    public string DepthsOf(int block)
    {
        if (different.Count == 1) return sequence.Length == 1 ? "the only one" : $"all {sequence.Length}";
        var ranges = new List<string>();
        for (var depth = 0; depth < sequence.Length; depth++)
        {
            if (sequence[depth] != block) continue;
            var first = depth;
            while (depth + 1 < sequence.Length && sequence[depth + 1] == block) depth++;
            ranges.Add(first == depth ? $"{first}" : $"{first}-{depth}");
        }
        const int most = 4;
        if (ranges is [var only] && !only.Contains('-')) return $"number {only}";
        return "numbers " + string.Join(", ", ranges.Count > most ? [.. ranges.Take(most), "..."] : ranges);
    }

    private int IndexOf(BlockSpec block)
    {
        var index = different.FindIndex(known => AreAlike(known, block));
        if (index >= 0) return index;
        different.Add(block);
        return different.Count - 1;
    }

    private static bool AreAlike(BlockSpec one, BlockSpec other) =>
        one.Mixer.Equals(other.Mixer) && one.Mlp.Equals(other.Mlp) && one.MixesValues == other.MixesValues
        && one.Sublayers.Select(Shape).SequenceEqual(other.Sublayers.Select(Shape));

    private static (string, string?, string?) Shape(SublayerSpec sublayer) => (sublayer.Name, sublayer.NormBefore, sublayer.NormAfter);
}
