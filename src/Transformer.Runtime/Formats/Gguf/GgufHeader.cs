using Transformer.Configuration;

namespace Transformer.Formats.Gguf;

/// <summary>
/// The header of a GGUF file: metadata of the model, and the position of each tensor. Nothing is used before it is checked.
/// </summary>
internal sealed class GgufHeader
{
    public const uint Magic = 0x46554747;    // "GGUF"
    public const uint Version = 3;
    public const int DefaultAlignment = 32;

    private const string AlignmentKey = "general.alignment";
    private const int SmallestTensor = 8 + 4 + 4 + 8, SmallestValue = 8 + 4 + 1;    // name or key, dimensions, type, offset; value
    private const int MostDimensions = 4;                                           // ggml's own limit

    private readonly GgufReader reader;
    private readonly Dictionary<string, object> metadata = [];
    private readonly Dictionary<string, GgufTensor> tensors = [];

    private GgufHeader(GgufReader reader) => this.reader = reader;

    /// <summary>What the file says about the model: numbers, truth values, texts and arrays of these.</summary>
    public IReadOnlyDictionary<string, object> Metadata => metadata;

    /// <summary>The tensors by name, in the order of their bytes.</summary>
    public IReadOnlyDictionary<string, GgufTensor> Tensors => tensors;

    /// <summary>Where the data begins.</summary>
    public long DataStart { get; private set; }

    /// <summary>Reads and checks a header.</summary>
    /// <param name="file">The file's name for messages.</param>
    /// <param name="stream">The file.</param>
    /// <exception cref="InputException">The header is not valid, or does not describe the bytes that follow it.</exception>
    public static GgufHeader Read(string file, Stream stream)
    {
        var header = new GgufHeader(new GgufReader(file, stream));
        header.Read();
        return header;
    }

    /// <summary>The next multiple of an alignment.</summary>
    public static long Aligned(long position, int alignment) => (position + alignment - 1) / alignment * alignment;

    private void Read()
    {
        if (reader.Remaining < sizeof(uint) || reader.Number<uint>() != Magic) throw reader.Bad("it does not begin with GGUF");
        if (reader.Number<uint>() is not (2 or Version) and var version)
            throw reader.Bad($"version {version}, expected 2 or {Version}, with numbers of the least byte first");
        var tensorCount = reader.Count("tensors", SmallestTensor);
        var valueCount = reader.Count("metadata values", SmallestValue);
        for (var i = 0; i < valueCount; i++) ReadValue();
        var alignment = Alignment();
        for (var i = 0; i < tensorCount; i++) ReadTensor();

        DataStart = Math.Min(Aligned(reader.Position, alignment), reader.Position + reader.Remaining);
        CheckLayout(reader.Position + reader.Remaining - DataStart, alignment);
    }

    private void ReadValue()
    {
        var key = reader.Text();
        if (!metadata.TryAdd(key, reader.Value(reader.Number<uint>())))
            throw reader.Bad($"{UntrustedText.Shown(key)} stands twice in the metadata");
    }

    private void ReadTensor()
    {
        var name = reader.Text();
        var dimensions = reader.Number<uint>();
        if (dimensions > MostDimensions)
            throw reader.Bad($"{UntrustedText.Shown(name)}: {dimensions} dimensions, expected {MostDimensions} at most");
        var shape = new long[dimensions];
        for (var i = shape.Length - 1; i >= 0; i--) shape[i] = reader.Number<long>();
        var typeId = reader.Number<uint>();
        var type = GgufTensorType.Numbered(typeId)
            ?? throw reader.Bad(
                $"{UntrustedText.Shown(name)}: numbers of ggml's type {typeId}, expected one of {string.Join(", ", GgufTensorType.Names)}");
        var begin = reader.Number<long>();
        CheckSize(name, type, shape);
        if (!tensors.TryAdd(name, new GgufTensor(name, type, shape, begin)))
            throw reader.Bad($"{UntrustedText.Shown(name)}: stands twice in the file");
    }

    // A tensor is no larger than its file, so that no product of its dimensions overflows.
    private void CheckSize(string name, GgufTensorType type, long[] shape)
    {
        var size = (Int128)type.Bytes;
        foreach (var dimension in shape)
        {
            if (dimension < 1) throw reader.Bad($"{UntrustedText.Shown(name)}: a dimension of {dimension}, expected 1 or more");
            size *= dimension;
            if (size / type.Length > reader.Remaining)
                throw reader.Bad($"{UntrustedText.Shown(name)}: {type.Name} [{string.Join(", ", shape)}] is larger than the file. " +
                    "It is cut off: copy or download it again.");
        }
        if ((shape.Length == 0 ? 1 : shape[^1]) % type.Length != 0)
            throw reader.Bad(
                $"{UntrustedText.Shown(name)}: rows of {(shape.Length == 0 ? 1 : shape[^1])}, but {type.Name} has blocks of {type.Length}");
    }

    private int Alignment() => !metadata.TryGetValue(AlignmentKey, out var value) ? DefaultAlignment
        : value is uint and >= 8 and <= 1 << 20 and var number && uint.IsPow2(number) ? (int)number
        : throw reader.Bad($"{AlignmentKey}: found {UntrustedText.Shown($"{value}")}, expected a power of two from 8 to 1048576");

    private void CheckLayout(long dataLength, int alignment)
    {
        long end = 0;
        foreach (var tensor in tensors.Values)
        {
            if (tensor.Begin != Aligned(end, alignment))
                throw reader.Bad($"{UntrustedText.Shown(tensor.Name)}: begins at byte {tensor.Begin} of the data, " +
                    $"expected {Aligned(end, alignment)}, right behind the one before");
            end = tensor.Begin + tensor.Bytes;
            if (end > dataLength)
                throw reader.Bad($"{UntrustedText.Shown(tensor.Name)}: ends at byte {end} of the data, but the file holds {dataLength}. " +
                    "It is cut off: copy or download it again.");
        }
        if (dataLength > Aligned(end, alignment)) throw reader.Bad($"{dataLength - end} bytes follow the last tensor, expected none");
    }
}
