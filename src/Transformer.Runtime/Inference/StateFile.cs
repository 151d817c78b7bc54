using System.Globalization;
using System.IO.Hashing;
using System.Text;
using Transformer.Configuration;
using Transformer.Formats;

namespace Transformer.Inference;

/// <summary>
/// A state in a Safetensors file: the tensors of each row, and in the metadata the backend and the hashes of architecture, weights as
/// packed and tokenizer, to which the state is bound. It continues bit-identically in another process.
/// </summary>
internal static class StateFile
{
    private const string Format = "transformer-state", Version = "1";
    private const int MostRows = 4096;
    private const string FormatKey = "format", VersionKey = "version", BackendKey = "backend", ArchitectureKey = "architecture",
        WeightsKey = "weights", TokenizerKey = "tokenizer", CapacityKey = "capacity", LengthsKey = "lengths", DataKey = "data";

    /// <summary>Writes a state atomically.</summary>
    /// <param name="path">The file, replaced if it exists.</param>
    /// <param name="model">The model that uses it.</param>
    /// <param name="state">The state.</param>
    /// <param name="tokenizerHash">A hash of the tokenizer; null where it does not matter.</param>
    /// <exception cref="InputException">The file cannot be written.</exception>
    public static void Write(string path, InferenceModel model, SequenceState state, string? tokenizerHash)
    {
        StateTensor[] tensors = [.. Tensors(state)];
        var metadata = new Dictionary<string, string>
        {
            [FormatKey] = Format,
            [VersionKey] = Version,
            [BackendKey] = model.Backend,
            [ArchitectureKey] = HashOf(model),
            [WeightsKey] = model.WeightsHash,
            [CapacityKey] = state.Capacity.ToString(CultureInfo.InvariantCulture),
            [LengthsKey] = string.Join(' ', state.Lengths),
            [DataKey] = HashOf(tensors),
        };
        if (tokenizerHash is not null) metadata[TokenizerKey] = tokenizerHash;
        SafetensorsWriter.Write(path, tensors, metadata);
    }

    /// <summary>Reads a state.</summary>
    /// <param name="path">The file.</param>
    /// <param name="model">The model that will use it.</param>
    /// <param name="tokenizerHash">A hash of the tokenizer; null where it does not matter.</param>
    /// <exception cref="InputException">The file is no state, is damaged, or belongs to another backend, model or tokenizer.</exception>
    public static SequenceState Read(string path, InferenceModel model, string? tokenizerHash)
    {
        using var file = SafetensorsFile.Open(path);
        if (file.Metadata.GetValueOrDefault(FormatKey) != Format)
            throw new InputException($"{path}: is no saved state, expected a file that a state was saved to.");
        Expect(VersionKey, Version, "was saved by another version of this program");
        Expect(BackendKey, model.Backend, "is a state of another backend");
        Expect(ArchitectureKey, HashOf(model), "is a state of a model of another architecture");
        Expect(WeightsKey, model.WeightsHash, "is a state of a model with other weights, or with weights that are packed otherwise");
        if (tokenizerHash is not null && file.Metadata.ContainsKey(TokenizerKey))
            Expect(TokenizerKey, tokenizerHash, "is a state of texts of another tokenizer");
        var capacity = Number(Value(CapacityKey));
        int[] lengths = [.. Value(LengthsKey).Split(' ').Select(Number)];
        var fits = capacity >= 1 && capacity <= model.MostTokens
            && lengths.Length <= MostRows && lengths.All(length => length <= capacity);
        if (!fits)
            throw Damaged($"{lengths.Length} rows of at most {capacity} tokens");
        var state = model.NewState(lengths.Length, capacity);
        try
        {
            state.Prepare(lengths);
            StateTensor[] tensors = [.. Tensors(state)];
            if (file.Names.Count() != tensors.Length) throw Damaged($"{file.Names.Count()} tensors, expected {tensors.Length}");
            var hash = new XxHash128();
            foreach (var tensor in tensors) Load(tensor, hash);
            if (Text(hash) != Value(DataKey)) throw Damaged("its numbers are not those that were saved");
            return state;
        }
        catch
        {
            state.Dispose();
            throw;
        }

        void Load(StateTensor tensor, XxHash128 hash)
        {
            if (!file.Contains(tensor.Name)) throw Damaged($"has no tensor {tensor.Name}");
            var stored = file.Tensor(tensor.Name);
            if (stored.Type != ElementType.F32 || stored.Count != tensor.Part.Count)
                throw Damaged(
                    $"{tensor.Name} holds {stored.Count} elements of type {stored.Type.Name()}, expected {tensor.Part.Count} of type F32");
            stored.Visit(chunk => hash.Append(chunk));
            tensor.Part.CopyFrom(stored.ToFloat32());
        }

        string Value(string key) => file.Metadata.GetValueOrDefault(key) ?? throw Damaged($"its metadata has no {key}");

        int Number(string text) =>
            int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                ? number
                : throw Damaged("a length is no number");

        void Expect(string key, string expected, string problem)
        {
            if (Value(key) != expected)
                throw new InputException(
                    $"{path}: {problem} (found {UntrustedText.Shown(Value(key))}, expected {expected}). " +
                    "Load it with what it was saved with, or read the text again.");
        }

        InputException Damaged(string problem) => new($"{path}: the saved state is damaged ({problem}). Read the text again.");
    }

    private static IEnumerable<StateTensor> Tensors(SequenceState state) =>
        from row in Enumerable.Range(0, state.Lengths.Count)
        where state.Lengths[row] > 0
        from part in state.Parts(row)
        select new StateTensor($"row.{row}.{part.Name}", part);

    private static string HashOf(InferenceModel model)
    {
        var hash = new XxHash128();
        hash.Append(Encoding.UTF8.GetBytes(ModelJson.ToJson(model.Config).ToJsonString()));
        return Text(hash);
    }

    private static string HashOf(IEnumerable<StateTensor> tensors)
    {
        var hash = new XxHash128();
        foreach (var tensor in tensors) tensor.Visit(chunk => hash.Append(chunk));
        return Text(hash);
    }

    private static string Text(XxHash128 hash) => Convert.ToHexStringLower(hash.GetCurrentHash());
}
