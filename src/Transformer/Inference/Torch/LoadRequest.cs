using Transformer.Inference.Cpu;
using Transformer.Layers;

namespace Transformer.Inference.Torch;

/// <summary>How a model is to be loaded for generation.</summary>
/// <param name="Format">The format of its matrices in memory.</param>
/// <param name="Device">The name of the device that computes it.</param>
/// <param name="Threads">How many threads compute; as many as there are processors where null.</param>
/// <param name="Group">The ranks that share the model; null where this process has all of it.</param>
public sealed record LoadRequest(
    WeightFormat Format = WeightFormat.AsIs, string Device = "cpu", int? Threads = null, TensorParallelGroup? Group = null);
