using Transformer.Checkpoints;
using Transformer.Formats;
using static TorchSharp.torch;

namespace Transformer.Tests;

/// <summary>Reference data made by other implementations; each folder's README says by which and how exact they are.</summary>
internal static class Golden
{
    public static string PathOf(string path) => Path.Combine(AppContext.BaseDirectory, "Goldens", path);

    /// <summary>All tensors of a Safetensors file, by name.</summary>
    public static Dictionary<string, Tensor> Read(string path)
    {
        using var file = SafetensorsFile.Open(PathOf(path));
        return file.Names.ToDictionary(name => name, name => file.Read(name));
    }
}
