using Transformer.Configuration;
using Transformer.Layers;

namespace Transformer.Model;

/// <summary>Pairs the parameters of a model with the specs of its configuration.</summary>
internal static class SpecifiedParameters
{
    /// <summary>The specs by name, in their order.</summary>
    /// <param name="config">The architecture of the whole model.</param>
    /// <param name="found">The model's parameters, or this rank's parts of them.</param>
    /// <param name="group">The ranks that share the model; null where it is whole.</param>
    /// <exception cref="InvalidOperationException">A layer and its config record differ in a name or a shape.</exception>
    /// <exception cref="InputException">They do, in a model with added kinds.</exception>
    public static IReadOnlyDictionary<string, ParameterSpec> Of(
        ModelConfig config, IEnumerable<(string Name, long[] Shape)> found, TensorParallelGroup? group)
    {
        var specs = new OrderedDictionary<string, ParameterSpec>(config.Parameters().Select(spec => KeyValuePair.Create(spec.Name, spec)));
        var shapes = found.ToDictionary(parameter => parameter.Name, parameter => parameter.Shape);
        string[] problems =
        [
            .. specs.Keys.Where(name => !shapes.ContainsKey(name)).Select(name => $"{name}: specified, but no layer has it"),
            .. shapes.Keys.Where(name => !specs.ContainsKey(name)).Select(name => $"{name}: a layer has it, but it is not specified"),
            .. specs.Values.Where(spec => shapes.ContainsKey(spec.Name) && !WholeShape(spec).SequenceEqual(spec.Shape))
                .Select(spec => $"{spec.Name}: specified as {Text(spec.Shape)}, but the layer's is {Text(WholeShape(spec))}"),
        ];
        if (problems.Length == 0) return specs;
        string[] added = [.. AddedKindsOf(config)];
        throw added.Length == 0 ? new InvalidOperationException(string.Join('\n', problems)) : new InputException(
            $"What the record of an added kind ({string.Join(", ", added)}) says in Parameters and what its layer has differ:\n" +
            string.Join('\n', problems));

        long[] WholeShape(ParameterSpec spec) =>
            group is null ? shapes[spec.Name] : TensorParallelSplit.WholeShape(spec, shapes[spec.Name], group);

        static IEnumerable<string> AddedKindsOf(ModelConfig config) =>
            from part in (object[])[.. config.Blocks().Select(block => block.Mixer).Distinct(), config.Mlp, config.Norm]
            where AddedKinds.Names.ContainsKey(part.GetType())
            select $"{Kind.NameOf(part)}: {part.GetType().Name}";

        static string Text(long[] shape) => $"[{string.Join(", ", shape)}]";
    }
}
