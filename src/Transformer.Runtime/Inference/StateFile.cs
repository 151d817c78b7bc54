using System.Globalization;
using System.IO.Hashing;
using System.Text;
using Transformer.Configuration;
using Transformer.Formats;

namespace Transformer.Inference;

/// <summary>
/// A state in a Safetensors file: the tensors of each row, and in the metadata the backend and the hashes of architecture, weights as
/// packed and tokenizer, to which the state is bound. It continues bit-identically in another process. A hash over all that the file
/// says is compared before anything of it is used.
/// </summary>
internal static class StateFile
{
    private const string Format = "transformer-state", Version = "3";
    private const int MostRows = 4096;
    private const string TextTensor = "text";
    private const string FormatKey = "format", VersionKey = "version", BackendKey = "backend", ArchitectureKey = "architecture",
        WeightsKey = "weights", TokenizerKey = "tokenizer", CapacityKey = "capacity", LengthsKey = "lengths", DropsKey = "drops_tokens",
        TextKey = "text", HashKey = "hash";

    /// <summary>Writes a state atomically.</summary>
    /// <param name="path">The file, replaced if it exists.</param>
    /// <param name="model">The model that uses it.</param>
    /// <param name="state">The state.</param>
    /// <param name="tokenizerHash">A hash of the tokenizer; null where it does not matter.</param>
    /// <param name="text">What else is saved; nothing where null.</param>
    /// <exception cref="InputException">The file cannot be written.</exception>
    public static void Write(string path, InferenceModel model, SequenceState state, string? tokenizerHash, StateText? text = null)
    {
        List<StoredTensor> tensors = [.. Tensors(state)];
        var metadata = new Dictionary<string, string>
        {
            [FormatKey] = Format,
            [VersionKey] = Version,
            [BackendKey] = model.Backend,
            [ArchitectureKey] = HashOf(model),
            [WeightsKey] = model.WeightsHash,
            [CapacityKey] = state.Capacity.ToString(CultureInfo.InvariantCulture),
            [LengthsKey] = string.Join(' ', state.Lengths),
        };
        if (state.CanDrop) metadata[DropsKey] = "true";
        if (tokenizerHash is not null) metadata[TokenizerKey] = tokenizerHash;
        if (text is not null)
        {
            metadata[TextKey] = text.Json;
            tensors.Add(new TokenTensor(TextTensor, text.Tokens));
        }
        metadata[HashKey] = HashOf(metadata, tensors);
        SafetensorsWriter.Write(path, tensors, metadata);
    }

    /// <summary>Reads a state.</summary>
    /// <param name="path">The file.</param>
    /// <param name="model">The model that will use it.</param>
    /// <param name="tokenizerHash">A hash of the tokenizer; null where it does not matter.</param>
    /// <param name="mostRows">The most texts that are expected.</param>
    /// <returns>The state, and what else was saved.</returns>
    /// <exception cref="InputException">The file is no state, is damaged, or belongs to another backend, model or tokenizer.</exception>
    public static (SequenceState State, StateText? Text) Read(
        string path, InferenceModel model, string? tokenizerHash, int mostRows = MostRows)
    {
        using var file = SafetensorsFile.Open(path);
        if (file.Metadata.GetValueOrDefault(FormatKey) != Format)
            throw new InputException($"{path}: is no saved state, expected a file that a state was saved to.");
        Expect(VersionKey, Version, "was saved by another version of this program");
        if (HashOf(file.Metadata, file.Names.Select(name => file.Tensor(name))) != Value(HashKey))
            throw Damaged("it does not hold what was saved");
        Expect(BackendKey, model.Backend, "is a state of another backend");
        Expect(ArchitectureKey, HashOf(model), "is a state of a model of another architecture");
        Expect(WeightsKey, model.WeightsHash, "is a state of a model with other weights, or with weights that are packed otherwise");
        if (tokenizerHash is not null && file.Metadata.ContainsKey(TokenizerKey))
            Expect(TokenizerKey, tokenizerHash, "is a state of texts of another tokenizer");
        var capacity = Number(Value(CapacityKey));
        int[] lengths = [.. Value(LengthsKey).Split(' ').Select(Number)];
        var fits = capacity >= 1 && capacity <= model.MostTokens
            && lengths.Length <= mostRows && lengths.All(length => length <= capacity);
        if (!fits)
            throw Damaged($"{lengths.Length} rows of at most {capacity} tokens");
        var text = file.Metadata.TryGetValue(TextKey, out var json) ? new StateText(json, Tokens()) : null;
        var drops = file.Metadata.ContainsKey(DropsKey);
        var state = drops ? model.NewDroppingState(lengths.Length, capacity) : model.NewState(lengths.Length, capacity);
        try
        {
            state.Prepare(lengths);
            StateTensor[] tensors = [.. Tensors(state)];
            var (found, expected) = (file.Names.Count(), tensors.Length + (text is null ? 0 : 1));
            if (found != expected) throw Damaged($"{found} tensors, expected {expected}");
            foreach (var tensor in tensors)
                tensor.Part.CopyFrom(Stored(tensor.Name, ElementType.F32, tensor.Part.Count).ToFloat32());
            return (state, text);
        }
        catch
        {
            state.Dispose();
            throw;
        }

        int[] Tokens()
        {
            var tokens = new int[file.Contains(TextTensor) ? file.Tensor(TextTensor).Count : 0];
            Stored(TextTensor, ElementType.I32, tokens.Length).CopyTo<int>(tokens);
            return tokens;
        }

        StoredTensor Stored(string name, ElementType type, long count)
        {
            if (!file.Contains(name)) throw Damaged($"has no tensor {name}");
            var stored = file.Tensor(name);
            return stored.Type == type && stored.Count == count
                ? stored
                : throw Damaged(
                    $"{name} holds {stored.Count} elements of type {stored.Type.Name()}, expected {count} of type {type.Name()}");
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

        InputException Damaged(string problem) => StateFile.Damaged(path, problem);
    }

    /// <summary>Throws if a file is there that has something else, which a state would replace. An empty one may be replaced.</summary>
    /// <exception cref="InputException">It is no saved state.</exception>
    public static void RequireReplaceable(string path)
    {
        if (!File.Exists(path) || new FileInfo(path).Length == 0) return;
        try
        {
            using var file = SafetensorsFile.Open(path);
            if (file.Metadata.GetValueOrDefault(FormatKey) == Format) return;
        }
        catch (InputException)
        {
        }
        throw new InputException($"{path}: is there already and is no saved state, which would replace it. Name another file.");
    }

    /// <summary>The message for a file that is a saved state, but does not hold what one does.</summary>
    public static InputException Damaged(string path, string problem) =>
        new($"{path}: the saved state is damaged ({problem}). Read the text again.");

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

    // Of everything but the hash itself, in an order that does not depend on the file's.
    internal static string HashOf(IReadOnlyDictionary<string, string> metadata, IEnumerable<StoredTensor> tensors)
    {
        var hash = new XxHash128();
        foreach (var (key, value) in metadata.Where(pair => pair.Key != HashKey).OrderBy(pair => pair.Key, StringComparer.Ordinal))
            Append($"{key}\0{value}\0");
        foreach (var tensor in tensors.OrderBy(tensor => tensor.Name, StringComparer.Ordinal))
        {
            Append($"{tensor.Name}\0{tensor.Type}\0{tensor.Count}\0");
            tensor.Visit(chunk => hash.Append(chunk));
        }
        return Text(hash);

        void Append(string text) => hash.Append(Encoding.UTF8.GetBytes(text));
    }

    private static string Text(XxHash128 hash) => Convert.ToHexStringLower(hash.GetCurrentHash());
}
