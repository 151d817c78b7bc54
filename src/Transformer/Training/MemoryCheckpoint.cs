using Transformer.Checkpoints;
using Transformer.Layers.Memory;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Training;

// B rows of all ranks

/// <summary>
/// What a model remembers of its text, in a checkpoint. Each rank writes its own rows as parts of [B, ...]; any number of ranks can read
/// them.
/// </summary>
internal static class MemoryCheckpoint
{
    private const string Prefix = "memory.", Lengths = "memory.lengths", Tokens = "tokens";

    /// <summary>The shape of a row of each tensor, by name.</summary>
    public static IReadOnlyDictionary<string, long[]>? Shapes(TransformerModel model, SegmentMemory? memory) =>
        memory is null ? null : Named(model, memory).ToDictionary(entry => entry.Name, entry => entry.Value.shape[1..]);

    /// <summary>The tensors of a rank's rows.</summary>
    /// <param name="model">The model that remembers.</param>
    /// <param name="memory">What it remembers; null for nothing.</param>
    /// <param name="firstRow">The rank's first row.</param>
    public static IEnumerable<(string Name, Tensor Value)> Of(TransformerModel model, SegmentMemory? memory, int firstRow)
    {
        if (memory is null) yield break;
        yield return ($"{Lengths}@{firstRow}", tensor(memory.Lengths.ToArray()));
        foreach (var (name, value) in Named(model, memory))
            yield return ($"{Prefix}{name}@{firstRow * value[0].numel()}", value.flatten());
    }

    /// <summary>Restores the rows of a rank.</summary>
    /// <param name="file">The checkpoint's tensors.</param>
    /// <param name="model">The model that remembers.</param>
    /// <param name="shapes">What <see cref="Shapes"/> gave.</param>
    /// <param name="firstRow">The rank's first row.</param>
    /// <param name="rows">How many rows it has.</param>
    /// <exception cref="Configuration.InputException">The checkpoint lacks a part.</exception>
    public static SegmentMemory Load(
        TrainingTensors file, TransformerModel model, IReadOnlyDictionary<string, long[]> shapes, int firstRow, int rows)
    {
        using var scope = NewDisposeScope();
        using var lengths = zeros(rows, ScalarType.Int64);
        file.ReadInto($"{Lengths}@{firstRow}", lengths);
        var memory = new SegmentMemory(lengths.data<long>().ToArray());
        foreach (var (module, entries) in shapes.GroupBy(shape => ModuleOf(model, shape.Key)).Select(group => (group.Key, group)))
            memory.Keep(module, entries.OrderBy(entry => entry.Key, StringComparer.Ordinal).Select(entry => Read(entry.Key, entry.Value)));
        return memory;

        Tensor Read(string name, long[] shape)
        {
            var count = shape.Aggregate(1L, (product, size) => product * size);
            var value = zeros(rows * count);
            file.ReadInto($"{Prefix}{name}@{firstRow * count}", value);
            return value.view([rows, .. shape]).to(model.Device);
        }
    }

    private static IEnumerable<(string Name, Tensor Value)> Named(TransformerModel model, SegmentMemory memory)
    {
        var names = model.named_modules().ToDictionary(module => module.module, module => module.name);
        foreach (var (module, tensors) in memory.All)
            foreach (var (index, value) in tensors.Index())
                yield return ($"{(ReferenceEquals(module, model) ? Tokens : names[module])}.{index}", value);
    }

    private static nn.Module ModuleOf(TransformerModel model, string name)
    {
        var module = name[..name.LastIndexOf('.')];
        return module == Tokens ? model : model.named_modules().Single(named => named.name == module).module;
    }
}
