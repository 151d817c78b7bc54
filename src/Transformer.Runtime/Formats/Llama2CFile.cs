using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Transformer.Configuration;
using Transformer.Numerics;

namespace Transformer.Formats;

// L layers · C width · F hidden width · H heads · G key/value heads · D head width · V vocabulary · T context length

/// <summary>
/// A model of llama2.c in its first format (version 0): seven 32-bit integers, then all weights in 32-bit floating point. It rotates
/// adjacent pairs of a head's elements, where Hugging Face's Llama, and so this library, rotates element i with element i + D / 2.
/// </summary>
public static class Llama2CFile
{
    private const int HeaderLength = 7 * sizeof(int);
    private const int NumbersAtOnce = 1 << 24;
    private const uint LaterMagic = 0x616b3432; // "ak42"

    /// <summary>Reads a model.</summary>
    /// <returns>The architecture and its tensors by our names.</returns>
    /// <exception cref="InputException">The file cannot be read, or its size is not what its header says.</exception>
    public static (ModelConfig Model, IReadOnlyDictionary<string, StoredTensor> Tensors) Read(string path)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 1 << 16);
            var model = ReadHeader(path, stream);
            return (model, ReadTensors(stream, model));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read ({e.Message})", e);
        }
    }

    private static ModelConfig ReadHeader(string path, FileStream stream)
    {
        Span<byte> header = stackalloc byte[HeaderLength];
        if (stream.ReadAtLeast(header, HeaderLength, throwOnEndOfStream: false) < HeaderLength)
            throw new InputException($"{path}: {stream.Length} bytes, expected a llama2.c model with a header of {HeaderLength}");
        if (BinaryPrimitives.ReadUInt32LittleEndian(header) == LaterMagic)
            throw new InputException(
                $"{path}: a later or quantised format of llama2.c, expected version 0. Export the model with --version 0.");
        var fields = new int[7];
        for (var n = 0; n < fields.Length; n++) fields[n] = BinaryPrimitives.ReadInt32LittleEndian(header[(n * sizeof(int))..]);
        var (tied, vocabulary) = (fields[5] > 0, Math.Abs((long)fields[5]));
        var (width, hidden, layers, heads, kvHeads, length) = (fields[0], fields[1], fields[2], fields[3], fields[4], fields[6]);
        if (fields.Where((_, n) => n != 5).Any(field => field < 1) || vocabulary is < 1 or > int.MaxValue
            || width % heads != 0 || heads % kvHeads != 0 || width / heads % 2 != 0)
        {
            throw new InputException(
                $"{path}: not a llama2.c model: header width {width}, hidden {hidden}, layers {layers}, heads {heads}, " +
                $"key/value heads {kvHeads}, vocabulary {fields[5]}, length {length}; expected positive numbers, " +
                "heads that divide the width " +
                "into even parts, and key/value heads that divide the heads");
        }
        var keyWidth = (Int128)(width / heads) * kvHeads;
        var perLayer = 2 * (Int128)width + 2 * (Int128)width * width + 2 * width * keyWidth + 3 * (Int128)width * hidden;
        var numbers = (tied ? 1 : 2) * (Int128)vocabulary * width + layers * perLayer + width + (Int128)length * (width / heads);
        var expected = HeaderLength + sizeof(float) * numbers;
        if (expected != stream.Length)
            throw new InputException(
                $"{path}: {stream.Length} bytes, but a llama2.c model with its header has {expected}: cut off, or of another format");
        return new ModelConfig
        {
            Width = width,
            ContextLength = length,
            Layers = layers,
            VocabularySize = (int)vocabulary,
            Attention = new SoftmaxAttentionConfig { Heads = heads, KvHeads = kvHeads },
            Position = new RotaryPositionConfig { Theta = 10_000 },
            Mlp = new SwiGluMlpConfig { Hidden = hidden },
            Norm = new RmsNormConfig { Epsilon = 1e-5 },
            TiedHead = tied,
        };
    }

    // The file holds the weights by kind: those of all layers, then the next kind.
    private static Dictionary<string, StoredTensor> ReadTensors(FileStream stream, ModelConfig model)
    {
        var attention = (SoftmaxAttentionConfig)model.Attention!;
        long width = model.Width, hidden = model.Mlp.HiddenAt(model.Width), vocabulary = model.VocabularySize!.Value;
        long heads = attention.Heads, kvHeads = attention.KvHeads!.Value, headWidth = width / heads, keyWidth = kvHeads * headWidth;
        var tensors = new Dictionary<string, StoredTensor>();

        void Add(string name, params long[] shape) => tensors.Add($"{name}.weight", ReadTensor(stream, $"{name}.weight", shape));
        void AddLayers(string name, params long[] shape)
        {
            for (var layer = 0; layer < model.Layers.Blocks; layer++) Add($"model.layers.{layer}.{name}", shape);
        }

        Add("model.embed_tokens", vocabulary, width);                          // [V, C]
        AddLayers("input_layernorm", width);                                   // [C]
        AddLayers("self_attn.q_proj", width, width);                           // [H D, C]
        AddLayers("self_attn.k_proj", keyWidth, width);                        // [G D, C]
        AddLayers("self_attn.v_proj", keyWidth, width);                        // [G D, C]
        AddLayers("self_attn.o_proj", width, width);                           // [C, H D]
        AddLayers("post_attention_layernorm", width);                          // [C]
        AddLayers("mlp.gate_proj", hidden, width);                             // [F, C]
        AddLayers("mlp.down_proj", width, hidden);                             // [C, F]
        AddLayers("mlp.up_proj", hidden, width);                               // [F, C]
        Add("model.norm", width);                                              // [C]
        stream.Seek(model.ContextLength * headWidth * sizeof(float), SeekOrigin.Current); // tables of cosines and sines
        if (!model.TiedHead) Add("lm_head", vocabulary, width);                // [V, C]

        for (var layer = 0; layer < model.Layers.Blocks; layer++)
        {
            HalfSplit(tensors, $"model.layers.{layer}.self_attn.q_proj.weight", heads);
            HalfSplit(tensors, $"model.layers.{layer}.self_attn.k_proj.weight", kvHeads);
        }
        return tensors;
    }

    private static void HalfSplit(Dictionary<string, StoredTensor> tensors, string name, long heads) =>
        tensors[name] = RotaryPairs.HalfSplit(tensors[name], heads);

    private static MemoryTensor ReadTensor(FileStream stream, string name, long[] shape)
    {
        var numbers = new NativeArray<float>(shape.Aggregate(1L, (product, dimension) => product * dimension));
        for (long start = 0; start < numbers.Length; start += NumbersAtOnce)
            stream.ReadExactly(MemoryMarshal.AsBytes(numbers.Span(start, (int)Math.Min(NumbersAtOnce, numbers.Length - start))));
        return MemoryTensor.Of(name, numbers, shape);
    }
}
