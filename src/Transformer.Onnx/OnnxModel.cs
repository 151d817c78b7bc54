using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Generation;
using Transformer.Onnx.Graph;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Onnx;

// B rows · T tokens of a row · P past slots · V vocabulary

/// <summary>A model that ONNX Runtime computes: a folder that <see cref="OnnxFolder"/> or another tool wrote, with Hugging Face's inputs and outputs.</summary>
public sealed class OnnxModel : IDisposable
{
    private readonly InferenceSession session;
    private readonly string path;
    private readonly string[] inputs, outputs;
    private readonly int[][] stateShapes;    // of each state; below zero where it depends on the pass
    private readonly bool[] keepsItsPlace;    // whether a state is a cache that the pass fills where it lies

    private OnnxModel(string path, InferenceSession session, ModelConfig config, Tokenizer? tokenizer)
    {
        (this.path, this.session, Config, Tokenizer) = (path, session, config, tokenizer);
        string[] states = [.. session.InputMetadata.Keys.Where(IsState)];
        stateShapes = [.. states.Select(state => session.InputMetadata[state].Dimensions)];
        keepsItsPlace = [.. states.Select(state => session.InputMetadata[state].SymbolicDimensions.Contains(GraphContext.CacheAxis))];
        inputs = [GraphContext.IdsName, GraphContext.MaskName, GraphContext.PositionsName, .. states];
        outputs = [GraphContext.LogitsName, .. states.Select(Present)];
    }

    /// <summary>The architecture.</summary>
    public ModelConfig Config { get; }

    /// <summary>What the ids mean; null where the folder has no tokenizer.json.</summary>
    public Tokenizer? Tokenizer { get; }

    /// <summary>What writes with this model, which must live as long.</summary>
    /// <param name="tokenizer">What the ids mean; the folder's own tokenizer where null.</param>
    public TextGenerator Generator(Tokenizer? tokenizer = null) => new(Config, (rows, capacity) => new OnnxLogits(this, rows, capacity), tokenizer ?? Tokenizer);

    /// <summary>Whether a path is a folder with a model for ONNX Runtime.</summary>
    public static bool IsAt(string path) => File.Exists(Path.Combine(path, OnnxFolder.ModelFolder, OnnxFolder.ModelName));

    /// <summary>Loads a model.</summary>
    /// <param name="folder">A folder with onnx/model.onnx and config.json.</param>
    /// <param name="threads">How many threads compute; as many as libtorch's where null.</param>
    /// <exception cref="InputException">There is no model in the folder, it is damaged, or it is not one of a decoder with these inputs and outputs.</exception>
    public static OnnxModel Open(string folder, int? threads = null)
    {
        var path = Path.Combine(folder, OnnxFolder.ModelFolder, OnnxFolder.ModelName);
        if (!File.Exists(path)) throw new InputException($"{folder}: holds no {OnnxFolder.ModelFolder}/{OnnxFolder.ModelName}, expected a folder that `transformer export --format onnx` wrote");
        var config = CheckpointConfig.Read(Path.Combine(folder, CheckpointConfig.FileName));
        var tokenizer = Path.Combine(folder, CheckpointFolder.TokenizerName);
        var known = File.Exists(tokenizer) ? Tokenizer.Load(tokenizer) : null;
        if (known?.VocabularySize > config.VocabularySize)
            throw new InputException($"{folder}: the tokenizer has {known.VocabularySize} tokens, the model only {config.VocabularySize}. Is it the model's own?");
        var session = Session(path, threads ?? get_num_threads());
        try
        {
            Check(path, session, config);
            return new OnnxModel(path, session, config, known);
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <summary>The state of rows that have no tokens yet.</summary>
    /// <param name="rows">How many texts there is a place for.</param>
    /// <param name="capacity">The most tokens of a text, at most the context length; the context length where null.</param>
    public OnnxState NewState(int rows, int? capacity = null)
    {
        var length = capacity ?? Config.ContextLength;
        if (length < 1 || length > Config.ContextLength)
            throw new ArgumentOutOfRangeException(nameof(capacity), capacity, $"the context length is {Config.ContextLength}");
        // A row that is full while others go on has its filling written into one slot more.
        return new OnnxState([.. stateShapes.Zip(keepsItsPlace, (shape, keeps) => Empty(rows, shape, keeps ? length + 1 : 0))], rows, length);
    }

    /// <summary>Reads texts on: the tokens of several rows, one behind the other.</summary>
    /// <param name="state">What <see cref="NewState"/> made; it takes in the tokens.</param>
    /// <param name="rows">The rows that go on, each once.</param>
    /// <param name="counts">How many tokens each of them gets, one or more.</param>
    /// <param name="tokens">The tokens, those of the first row first.</param>
    /// <param name="all">Whether the logits of every token are wanted; else only those of each row's last.</param>
    /// <returns>[rows, V] or [tokens, V]</returns>
    /// <exception cref="InputException">The tokens do not fit the state, or ONNX Runtime cannot compute the model.</exception>
    public float[] Read(OnnxState state, ReadOnlySpan<int> rows, ReadOnlySpan<int> counts, ReadOnlySpan<int> tokens, bool all = false)
    {
        var (batch, longest, past) = (state.Lengths.Count, Longest(state, rows, counts), state.Slots(0).Count);
        // The fused operator takes one token of each row, or the rows' first.
        if (keepsItsPlace.Contains(true) && batch > 1 && past > 0 && longest > 1) return ReadInTurn(state, rows, counts, tokens, longest, all);
        var (ids, positions, mask) = (new long[batch * longest], new long[batch * longest], new long[batch * (past + longest)]);
        var added = new int[batch];
        for (var (part, read) = (0, 0); part < rows.Length; read += counts[part++])
        {
            added[rows[part]] = counts[part];
            for (var t = 0; t < counts[part]; t++) ids[rows[part] * longest + t] = tokens[read + t];
        }
        for (var row = 0; row < batch; row++)
        {
            // Filling needs a place, too, but nobody reads it.
            for (var t = 0; t < longest; t++) positions[row * longest + t] = Math.Min(state.Lengths[row] + t, Config.ContextLength - 1);
            for (var slot = 0; slot < past; slot++) mask[row * (past + longest) + slot] = state.Slots(row)[slot];
            mask.AsSpan(row * (past + longest) + past, added[row]).Fill(1);
        }

        using var idsValue = OrtValue.CreateTensorValueFromMemory(ids, [batch, longest]);
        using var maskValue = OrtValue.CreateTensorValueFromMemory(mask, [batch, past + longest]);
        using var positionsValue = OrtValue.CreateTensorValueFromMemory(positions, [batch, longest]);
        var results = Run([idsValue, maskValue, positionsValue, .. state.Past], state.Past);
        using var logits = results[0];
        state.Advance(results[1..], longest, added);
        return Wanted(logits.GetTensorDataAsSpan<float>(), rows, counts, longest, all);
    }

    // Reads the first token of all rows, then the second of those that have one, and so on.
    private float[] ReadInTurn(OnnxState state, ReadOnlySpan<int> rows, ReadOnlySpan<int> counts, ReadOnlySpan<int> tokens, int longest, bool all)
    {
        var (vocabulary, first) = (Config.VocabularySize!.Value, new int[rows.Length]);
        for (var part = 1; part < rows.Length; part++) first[part] = first[part - 1] + counts[part - 1];
        var (logits, lengths) = (new float[tokens.Length * vocabulary], counts.ToArray());
        for (var t = 0; t < longest; t++)
        {
            int[] live = [.. Enumerable.Range(0, rows.Length).Where(part => lengths[part] > t)];
            var (liveRows, liveTokens) = (new int[live.Length], new int[live.Length]);
            for (var i = 0; i < live.Length; i++) (liveRows[i], liveTokens[i]) = (rows[live[i]], tokens[first[live[i]] + t]);
            var read = Read(state, liveRows, [.. live.Select(_ => 1)], liveTokens);
            for (var i = 0; i < live.Length; i++) read.AsSpan(i * vocabulary, vocabulary).CopyTo(logits.AsSpan((first[live[i]] + t) * vocabulary));
        }
        return all ? logits : [.. first.SelectMany((start, part) => logits.AsSpan((start + lengths[part] - 1) * vocabulary, vocabulary).ToArray())];
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
                if (i > 0 && keepsItsPlace[i - 1]) binding.BindOutput(outputs[i], past[i - 1]);
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

    private static int Longest(OnnxState state, ReadOnlySpan<int> rows, ReadOnlySpan<int> counts)
    {
        var longest = 0;
        for (var part = 0; part < rows.Length; part++)
        {
            if (counts[part] < 1) throw new ArgumentException("every row gets one token or more", nameof(counts));
            var end = state.Lengths[rows[part]] + counts[part];
            if (end > state.Capacity)
                throw new InputException($"{end} tokens do not fit the context length of {state.Capacity}. Give a shorter text or a model with a longer context.");
            longest = Math.Max(longest, counts[part]);
        }
        return longest;
    }

    // Caches that grow have no slots yet; other states are zero.
    private static OrtValue Empty(int rows, int[] shape, int slots)
    {
        var value = OrtValue.CreateAllocatedTensorValue(
            OrtAllocator.DefaultInstance, TensorElementType.Float, [rows, .. shape.Skip(1).Select(size => size < 0 ? slots : (long)size)]);
        value.GetTensorMutableDataAsSpan<float>().Clear();
        return value;
    }

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
            throw new InputException($"{path}: its input {input} is unknown, expected {string.Join(", ", tokens)} and {GraphContext.PastPrefix}N.key and value");
        foreach (var input in tokens.Where(input => !session.InputMetadata.ContainsKey(input))) throw new InputException($"{path}: has no input {input}");
        string[] states = [.. session.InputMetadata.Keys.Where(IsState)];
        foreach (var output in states.Select(Present).Prepend(GraphContext.LogitsName).Where(output => !session.OutputMetadata.ContainsKey(output)))
            throw new InputException($"{path}: has no output {output}");
        foreach (var (name, value) in session.InputMetadata.Concat(session.OutputMetadata))
        {
            var expected = tokens.Contains(name) ? TensorElementType.Int64 : TensorElementType.Float;
            if (value.ElementDataType != expected) throw new InputException($"{path}: {name} is of type {value.ElementDataType}, expected {expected}");
        }
        if (session.OutputMetadata[GraphContext.LogitsName].Dimensions is not [_, _, var vocabulary] || vocabulary != config.VocabularySize)
            throw new InputException($"{path}: its logits are not those of the {config.VocabularySize} tokens that config.json says");
    }

    /// <inheritdoc/>
    public void Dispose() => session.Dispose();
}
