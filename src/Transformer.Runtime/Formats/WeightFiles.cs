using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Files;

namespace Transformer.Formats;

/// <summary>The tensors of a model in one Safetensors file or in several with an index, as large models are published.</summary>
internal sealed class WeightFiles : IDisposable
{
    /// <summary>The file of a model that is not sharded.</summary>
    public const string SingleFile = "model.safetensors";

    /// <summary>The list of a sharded model's tensors and the files that hold them.</summary>
    public const string IndexFile = "model.safetensors.index.json";

    private static readonly Dictionary<string, string> Metadata = new() { ["format"] = "pt" };

    private readonly Dictionary<string, SafetensorsFile> files = [];
    private readonly Dictionary<string, SafetensorsFile> tensors = [];

    private WeightFiles(string path) => Path = path;

    /// <summary>The file, or the index of a sharded model.</summary>
    public string Path { get; }

    /// <summary>The names of all tensors.</summary>
    public IReadOnlyCollection<string> Names => tensors.Keys;

    /// <summary>Whether a folder holds a model.</summary>
    public static bool In(string folder) =>
        File.Exists(System.IO.Path.Combine(folder, SingleFile)) || File.Exists(System.IO.Path.Combine(folder, IndexFile));

    /// <summary>Writes a model as one file.</summary>
    /// <exception cref="InputException">The file cannot be written.</exception>
    public static void Write(string folder, IEnumerable<StoredTensor> weights) =>
        SafetensorsWriter.Write(System.IO.Path.Combine(folder, SingleFile), weights, Metadata);

    /// <summary>Writes one of several files of a model.</summary>
    /// <param name="folder">The checkpoint's folder.</param>
    /// <param name="weights">What it holds.</param>
    /// <param name="number">Which file, from 0.</param>
    /// <param name="count">How many files there are.</param>
    /// <exception cref="InputException">The file cannot be written.</exception>
    public static void WriteShard(string folder, IEnumerable<StoredTensor> weights, int number, int count) =>
        SafetensorsWriter.Write(System.IO.Path.Combine(folder, ShardOf(number, count)), weights, Metadata);

    /// <summary>Writes the list of a model's tensors and files, as Hugging Face's tools read it.</summary>
    /// <param name="folder">The checkpoint's folder.</param>
    /// <param name="shards">The names of the tensors of each file.</param>
    /// <param name="bytes">The bytes of all tensors.</param>
    /// <exception cref="InputException">The file cannot be written.</exception>
    public static void WriteIndex(string folder, IReadOnlyList<IEnumerable<string>> shards, long bytes) =>
        DurableFile.WriteJson(System.IO.Path.Combine(folder, IndexFile), new JsonObject
        {
            ["metadata"] = new JsonObject { ["total_size"] = bytes },
            ["weight_map"] = new JsonObject(shards.SelectMany(
                (names, number) => names.Select(name => KeyValuePair.Create(name, (JsonNode?)ShardOf(number, shards.Count))))),
        });

    private static string ShardOf(int number, int count) => $"model-{number + 1:d5}-of-{count:d5}.safetensors";

    /// <summary>Opens the model of a folder, or one file.</summary>
    /// <exception cref="InputException">A file is missing or not valid.</exception>
    public static WeightFiles Open(string path)
    {
        if (Directory.Exists(path))
        {
            var single = System.IO.Path.Combine(path, SingleFile);
            path = File.Exists(single) ? single : System.IO.Path.Combine(path, IndexFile);
        }
        var weights = new WeightFiles(path);
        try
        {
            if (path.EndsWith(".json", StringComparison.Ordinal)) weights.AddShards();
            else weights.AddFile(path);
            return weights;
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <summary>The dimensions of a tensor.</summary>
    public IReadOnlyList<long> Shape(string name) => tensors[name].Shape(name);

    /// <summary>The type of a tensor's elements.</summary>
    public ElementType Type(string name) => tensors[name].Type(name);

    /// <summary>A tensor, mapped from its file for as long as this is open.</summary>
    public MemoryTensor Tensor(string name) => tensors[name].Tensor(name);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var file in files.Values) file.Dispose();
    }

    private void AddFile(string path)
    {
        var file = SafetensorsFile.Open(path);
        files.Add(path, file);
        foreach (var name in file.Names) tensors.Add(name, file);
    }

    private void AddShards()
    {
        var map = JsonFields.Open(Path).Object("weight_map")
            ?? throw new InputException($"{Path}: weight_map is missing, expected an object of tensor names and files");
        foreach (var name in map.Keys)
        {
            var shard = map.Text(name);
            // A name from a file must not lead out of the folder.
            if (shard != System.IO.Path.GetFileName(shard) || !shard.EndsWith(".safetensors", StringComparison.Ordinal))
                throw map.Bad(name, $"found {shard}, expected a .safetensors file of the same folder");
            if (!files.TryGetValue(shard, out var file))
                files.Add(shard, file = SafetensorsFile.Open(System.IO.Path.Combine(System.IO.Path.GetDirectoryName(Path)!, shard)));
            if (!file.Contains(name)) throw map.Bad(name, $"{shard} has no such tensor");
            tensors.Add(name, file);
        }
    }
}
