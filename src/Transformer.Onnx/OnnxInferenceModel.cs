using System.IO.Hashing;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Inference;
using Transformer.Onnx.Graph;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Onnx;

// B rows · T tokens of a row · P past slots · V vocabulary

/// <summary>A model that ONNX Runtime computes: a folder that <see cref="OnnxFolder"/> or another tool wrote, with Hugging Face's inputs
/// and outputs.</summary>
public sealed class OnnxInferenceModel : InferenceModel
{
    private readonly InferenceSession session;
    private readonly string path;
    private readonly string[] inputs, outputs;
    private readonly int[][] stateShapes;    // of each state; below zero where it depends on the pass
    private readonly OnnxStateKind[] kinds;
    private float[] logits = [];             // [outputs, V]

    private OnnxInferenceModel(string path, InferenceSession session, ModelConfig config, Tokenizer? tokenizer)
    {
        (this.path, this.session, Config, Tokenizer) = (path, session, config, tokenizer);
        string[] states = [.. session.InputMetadata.Keys.Where(IsState)];
        stateShapes = [.. states.Select(state => session.InputMetadata[state].Dimensions)];
        kinds = [.. states.Select(state => KindOf(session.InputMetadata[state]))];
        inputs = [GraphContext.IdsName, GraphContext.MaskName, GraphContext.PositionsName, .. states];
        outputs = [GraphContext.LogitsName, .. states.Select(Present)];
    }

    /// <inheritdoc/>
    public override ModelConfig Config { get; }

    /// <inheritdoc/>
    public override string Backend => "onnx";

    /// <summary>What the ids mean; null where the folder has no tokenizer.json.</summary>
    public Tokenizer? Tokenizer { get; }

    /// <summary>Whether a path is a folder with a model for ONNX Runtime.</summary>
    public static bool IsAt(string path) => File.Exists(Path.Combine(path, OnnxFolder.ModelFolder, OnnxFolder.ModelName));

    /// <summary>Loads a model.</summary>
    /// <param name="folder">A folder with onnx/model.onnx and config.json.</param>
    /// <param name="threads">How many threads compute; as many as libtorch's where null.</param>
    /// <exception cref="InputException">There is no model in the folder, it is damaged, or it is not one of a decoder with these inputs and
    /// outputs.</exception>
    public static OnnxInferenceModel Open(string folder, int? threads = null)
    {
        var path = Path.Combine(folder, OnnxFolder.ModelFolder, OnnxFolder.ModelName);
        if (!File.Exists(path))
            throw new InputException(
                $"{folder}: holds no {OnnxFolder.ModelFolder}/{OnnxFolder.ModelName}, " +
                $"expected a folder that `{ShellCommand.Of("export", "--format", "onnx")}` wrote");
        var config = CheckpointConfig.Read(Path.Combine(folder, CheckpointConfig.FileName));
        var known = TokenizerFolder.Holds(folder) ? TokenizerFolder.Read(folder) : null;
        if (known?.VocabularySize > config.VocabularySize)
            throw new InputException(
                $"{folder}: the tokenizer has {known.VocabularySize} tokens, the model only {config.VocabularySize}. " +
                "Is it the model's own?");
        var session = Session(path, threads ?? get_num_threads());
        try
        {
            Check(path, session, config);
            return new OnnxInferenceModel(path, session, config, known);
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    protected override SequenceState CreateState(int rows, int capacity)
    {
        // A row that is full while others go on has its padding written into one slot more.
        var past = stateShapes.Zip(kinds, (shape, kind) => Empty(rows, shape, kind == OnnxStateKind.InPlace ? capacity + 1 : 0));
        return new OnnxSequenceState(this, [.. past], kinds, rows, capacity, canTruncate: !AnglesFollowLength);
    }

    /// <inheritdoc/>
    internal override string? ObstacleToDropping => "the caches of an ONNX graph cannot drop tokens";

    /// <inheritdoc/>
    protected override void Compute(SequenceState state, ReadOnlySpan<int> rows, ReadOnlySpan<int> counts, InferenceInput input, bool all)
    {
        if (input.IsEmbeddings)
            throw new InputException($"{path}: its graph takes token ids only, not embeddings. Take the model's checkpoint.");
        logits = Read((OnnxSequenceState)state, rows, counts, input.Ids, all);
    }

    /// <inheritdoc/>
    protected override Span<float> LogitsOf(int output) =>
        logits.AsSpan(output * Config.VocabularySize!.Value, Config.VocabularySize!.Value);

    /// <summary>The logits of all outputs of the last call of Read: [outputs, V].</summary>
    internal float[] AllLogits => logits;

    /// <inheritdoc/>
    protected override ReadOnlySpan<float> HiddenOf(int output) =>
        throw new InputException($"{path}: its graph gives logits only, not hidden states. Take the model's checkpoint.");

    /// <inheritdoc/>
    protected override string HashWeights()
    {
        var hash = new XxHash128();
        foreach (var file in Directory.EnumerateFiles(Path.GetDirectoryName(path)!).Order(StringComparer.Ordinal))
        {
            using var stream = File.OpenRead(file);
            hash.Append(stream);
        }
        return Convert.ToHexStringLower(hash.GetCurrentHash());
    }

    // [rows, V] or [tokens, V]
    private float[] Read(OnnxSequenceState state, ReadOnlySpan<int> rows, ReadOnlySpan<int> counts, ReadOnlySpan<int> tokens, bool all)
    {
        state.Pack();
        var (batch, longest, past) = (state.Lengths.Count, Longest(counts), state.PastSlots);
        // The fused operator takes one token of each row, or the rows' first.
        if (kinds.Contains(OnnxStateKind.InPlace) && batch > 1 && past > 0 && longest > 1)
            return ReadOneByOne(state, rows, counts, tokens, longest, all);
        var (ids, positions, mask) = (new long[batch * longest], new long[batch * longest], new long[batch * (past + longest)]);
        var added = new int[batch];
        for (var (part, read) = (0, 0); part < rows.Length; read += counts[part++])
        {
            added[rows[part]] = counts[part];
            for (var t = 0; t < counts[part]; t++) ids[rows[part] * longest + t] = tokens[read + t];
        }
        for (var row = 0; row < batch; row++)
        {
            // Padding positions are clamped; their outputs are discarded.
            for (var t = 0; t < longest; t++) positions[row * longest + t] = Math.Min(state.Lengths[row] + t, Config.ContextLength - 1);
            for (var slot = 0; slot < past; slot++) mask[row * (past + longest) + slot] = state.Slots(row)[slot];
            mask.AsSpan(row * (past + longest) + past, added[row]).Fill(1);
        }

        using var idsValue = OrtValue.CreateTensorValueFromMemory(ids, [batch, longest]);
        using var maskValue = OrtValue.CreateTensorValueFromMemory(mask, [batch, past + longest]);
        using var positionsValue = OrtValue.CreateTensorValueFromMemory(positions, [batch, longest]);
        var results = Run([idsValue, maskValue, positionsValue, .. state.Past], state.Past);
        using var found = results[0];
        state.Advance(results[1..], longest, added);
        return Wanted(found.GetTensorDataAsSpan<float>(), rows, counts, longest, all);
    }

    // Reads the first token of all rows, then the second of those that have one, and so on.
    private float[] ReadOneByOne(
        OnnxSequenceState state, ReadOnlySpan<int> rows, ReadOnlySpan<int> counts, ReadOnlySpan<int> tokens, int longest, bool all)
    {
        var (vocabulary, first) = (Config.VocabularySize!.Value, new int[rows.Length]);
        for (var part = 1; part < rows.Length; part++) first[part] = first[part - 1] + counts[part - 1];
        var (found, lengths) = (new float[tokens.Length * vocabulary], counts.ToArray());
        for (var t = 0; t < longest; t++)
        {
            int[] live = [.. Enumerable.Range(0, rows.Length).Where(part => lengths[part] > t)];
            var (liveRows, liveTokens) = (new int[live.Length], new int[live.Length]);
            for (var i = 0; i < live.Length; i++) (liveRows[i], liveTokens[i]) = (rows[live[i]], tokens[first[live[i]] + t]);
            var read = Read(state, liveRows, [.. live.Select(_ => 1)], liveTokens, all: false);
            for (var i = 0; i < live.Length; i++)
                read.AsSpan(i * vocabulary, vocabulary).CopyTo(found.AsSpan((first[live[i]] + t) * vocabulary));
        }
        if (all) return found;
        return [.. first.SelectMany((start, part) => found.AsSpan((start + lengths[part] - 1) * vocabulary, vocabulary).ToArray())];
    }

    private OrtValue[] Run(OrtValue[] values, IReadOnlyList<OrtValue> past)
    {
        try
        {
            using var options = new RunOptions();
            using var binding = session.CreateIoBinding();
            for (var i = 0; i < inputs.Length; i++) binding.BindInput(inputs[i], values[i]);
            for (var i = 0; i < outputs.Length; i++)
            {
                if (i > 0 && kinds[i - 1] == OnnxStateKind.InPlace) binding.BindOutput(outputs[i], past[i - 1]);
                else binding.BindOutputToDevice(outputs[i], OrtMemoryInfo.DefaultInstance);
            }
            session.RunWithBinding(options, binding);
            return [.. binding.GetOutputValues()];
        }
        catch (OnnxRuntimeException e)
        {
            throw new InputException($"{path}: ONNX Runtime cannot compute it ({e.Message.ReplaceLineEndings(" ")})", e);
        }
    }

    // Of the logits [B, T, V] those that were asked for.
    private float[] Wanted(ReadOnlySpan<float> logits, ReadOnlySpan<int> rows, ReadOnlySpan<int> counts, int longest, bool all)
    {
        var vocabulary = Config.VocabularySize!.Value;
        var wanted = new List<float>();
        for (var part = 0; part < rows.Length; part++)
        {
            var first = all ? 0 : counts[part] - 1;
            wanted.AddRange(logits.Slice((rows[part] * longest + first) * vocabulary, (counts[part] - first) * vocabulary));
        }
        return [.. wanted];
    }

    private static int Longest(ReadOnlySpan<int> counts)
    {
        var longest = 0;
        foreach (var count in counts) longest = Math.Max(longest, count);
        return longest;
    }

    // Caches that grow have no slots yet; other states are zero.
    private static OrtValue Empty(int rows, int[] shape, int slots) =>
        Zeros([rows, .. shape.Skip(1).Select(size => size < 0 ? slots : (long)size)]);

    /// <summary>A tensor of zeros.</summary>
    internal static OrtValue Zeros(long[] shape)
    {
        var value = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, TensorElementType.Float, shape);
        value.GetTensorMutableDataAsSpan<float>().Clear();
        return value;
    }

    private static OnnxStateKind KindOf(NodeMetadata state) =>
        state.SymbolicDimensions.Contains(GraphContext.CacheAxis) ? OnnxStateKind.InPlace
        : state.Dimensions.Skip(1).Any(size => size < 0) ? OnnxStateKind.Growing
        : OnnxStateKind.Recurrent;

    private static InferenceSession Session(string path, int threads)
    {
        using var options = new SessionOptions
        {
            IntraOpNumThreads = threads,
            InterOpNumThreads = 1,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL,    // what goes wrong comes as an exception
        };
        try
        {
            return new InferenceSession(path, options);
        }
        catch (OnnxRuntimeException e)
        {
            throw new InputException($"{path}: ONNX Runtime cannot load it ({e.Message.ReplaceLineEndings(" ")})", e);
        }
    }

    private static bool IsState(string input) => input.StartsWith(GraphContext.PastPrefix, StringComparison.Ordinal);

    private static string Present(string state) => GraphContext.PresentPrefix + state[GraphContext.PastPrefix.Length..];

    private static void Check(string path, InferenceSession session, ModelConfig config)
    {
        string[] tokens = [GraphContext.IdsName, GraphContext.MaskName, GraphContext.PositionsName];
        foreach (var input in session.InputMetadata.Keys.Where(input => !IsState(input) && !tokens.Contains(input)))
            throw new InputException(
                $"{path}: its input {input} is unknown, expected {string.Join(", ", tokens)} and {GraphContext.PastPrefix}N.key and value");
        foreach (var input in tokens.Where(input => !session.InputMetadata.ContainsKey(input)))
            throw new InputException($"{path}: has no input {input}");
        string[] states = [.. session.InputMetadata.Keys.Where(IsState)];
        var outputs = states.Select(Present).Prepend(GraphContext.LogitsName);
        foreach (var output in outputs.Where(output => !session.OutputMetadata.ContainsKey(output)))
            throw new InputException($"{path}: has no output {output}");
        foreach (var (name, value) in session.InputMetadata.Concat(session.OutputMetadata))
        {
            var expected = tokens.Contains(name) ? TensorElementType.Int64 : TensorElementType.Float;
            if (value.ElementDataType != expected)
                throw new InputException($"{path}: {name} is of type {value.ElementDataType}, expected {expected}");
        }
        if (session.OutputMetadata[GraphContext.LogitsName].Dimensions is not [_, _, var vocabulary] || vocabulary != config.VocabularySize)
            throw new InputException($"{path}: its logits are not those of the {config.VocabularySize} tokens that config.json says");
    }

    /// <inheritdoc/>
    public override void Dispose() => session.Dispose();
}
