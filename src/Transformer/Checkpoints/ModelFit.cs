using System.Text;
using Transformer.Configuration;

namespace Transformer.Checkpoints;

/// <summary>Whether the tensors of a file are those of a model.</summary>
internal static class ModelFit
{
    private const int MostLines = 40;

    /// <summary>Compares all names and shapes.</summary>
    /// <exception cref="InputException">Something differs; the message lists it.</exception>
    public static void Check(string file, IReadOnlyDictionary<string, IReadOnlyList<long>> found, IReadOnlyDictionary<string, IReadOnlyList<long>> expected)
    {
        var problems = expected.Where(model => found.TryGetValue(model.Key, out var shape) && !shape.SequenceEqual(model.Value))
            .Select(model => $"{model.Key}: file {Text(found[model.Key])}, model {Text(model.Value)}")
            .Concat(expected.Where(model => !found.ContainsKey(model.Key)).Select(model => $"{model.Key}: not in the file, model {Text(model.Value)}"))
            .Concat(found.Where(tensor => !expected.ContainsKey(tensor.Key)).Select(tensor => $"{tensor.Key}: file {Text(tensor.Value)}, not in the model"))
            .ToList();
        if (problems.Count == 0) return;
        var message = new StringBuilder($"{file}: {(problems.Count == 1 ? "1 tensor does" : $"{problems.Count} tensors do")} not fit this model");
        foreach (var problem in problems.Take(MostLines)) message.Append("\n  ").Append(problem);
        if (problems.Count > MostLines) message.Append($"\n  and {problems.Count - MostLines} more");
        throw new InputException(message.ToString());
    }

    private static string Text(IReadOnlyList<long> shape) => $"[{string.Join(", ", shape)}]";
}
