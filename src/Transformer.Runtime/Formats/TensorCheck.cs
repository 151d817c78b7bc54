using System.Text;
using Transformer.Configuration;

namespace Transformer.Formats;

/// <summary>Whether the tensors of a file are those of a model.</summary>
internal static class TensorCheck
{
    private const int MostLines = 40;

    // A million positions of heads of 128: eight times what published models have, and at most half a gigabyte while the table is made.
    private const long AnglesLimit = 1L << 27;

    // The tolerance of the count: a model that is slightly too large is made, and its tensors are compared by name.
    private const long Slack = 1L << 20;

    /// <summary>
    /// Checks that a model can be as large as its configuration says, before one of that size is made: it
    /// has no more numbers than the file holds.
    /// </summary>
    /// <exception cref="InputException">It cannot.</exception>
    public static void CheckSize(string file, ModelConfig model, IReadOnlyCollection<IReadOnlyList<long>> shapes)
    {
        CheckAngles(file, model);
        var held = shapes.Sum(shape => Numbers([.. shape]));
        var parts = (long)model.Layers.Blocks * (model.Mlp is MixtureMlpConfig mixture ? Math.Max(1, mixture.Experts) : 1);
        if (parts > shapes.Count || model.Parameters().Sum(parameter => Numbers(parameter.Shape)) > 2 * held + Slack)
            throw new InputException($"{file}: its configuration asks for a model that is larger than its {shapes.Count} tensors with " +
                $"{held} numbers. Does it belong to them?");
    }

    // In double precision, in which the sizes of a damaged file do not overflow.
    private static double Numbers(long[] shape) => shape.Aggregate(1.0, (product, size) => product * Math.Abs(size));

    /// <summary>Checks that the tables of a model's positions are not too large.</summary>
    /// <exception cref="InputException">They are too large.</exception>
    public static void CheckAngles(string file, ModelConfig model)
    {
        var (what, size) = model.Position switch
        {
            RotaryPositionConfig => ("heads", model.RotaryWidth ?? 0),
            SinusoidalPositionConfig => ("a width", model.Width),
            _ => ("", 0),
        };
        if ((long)model.ContextLength * size > AnglesLimit)
            throw new InputException($"{file}: a context of {model.ContextLength} tokens with {what} of {size} asks for more angles than " +
                $"are made; expected {AnglesLimit / size} tokens at most");
    }

    /// <summary>Compares all names and shapes.</summary>
    /// <param name="file">The file, for messages.</param>
    /// <param name="found">The shapes of its tensors by name.</param>
    /// <param name="expected">Those of the model.</param>
    /// <param name="advice">What to do where the first names are missing and the second too many; null where nothing is known.</param>
    /// <exception cref="InputException">Something differs; the message lists it.</exception>
    public static void Check(
        string file, IReadOnlyDictionary<string, IReadOnlyList<long>> found, IReadOnlyDictionary<string, IReadOnlyList<long>> expected,
        Func<IReadOnlyCollection<string>, IReadOnlyCollection<string>, string?>? advice = null)
    {
        var problems = expected.Where(model => found.TryGetValue(model.Key, out var shape) && !shape.SequenceEqual(model.Value))
            .Select(model => $"{model.Key}: file {Text(found[model.Key])}, model {Text(model.Value)}")
            .Concat(expected.Where(model => !found.ContainsKey(model.Key))
                .Select(model => $"{model.Key}: not in the file, model {Text(model.Value)}"))
            .Concat(found.Where(tensor => !expected.ContainsKey(tensor.Key))
                .Select(tensor => $"{tensor.Key}: file {Text(tensor.Value)}, not in the model"))
            .ToList();
        if (problems.Count == 0) return;
        var message = new StringBuilder(
            $"{file}: {(problems.Count == 1 ? "1 tensor does" : $"{problems.Count} tensors do")} not fit this model");
        foreach (var problem in problems.Take(MostLines)) message.Append("\n  ").Append(problem);
        if (problems.Count > MostLines) message.Append($"\n  and {problems.Count - MostLines} more");
        if (advice?.Invoke([.. expected.Keys.Except(found.Keys)], [.. found.Keys.Except(expected.Keys)]) is { } remedy)
            message.Append('\n').Append(remedy);
        throw new InputException(message.ToString());
    }

    private static string Text(IReadOnlyList<long> shape) => $"[{string.Join(", ", shape)}]";
}
