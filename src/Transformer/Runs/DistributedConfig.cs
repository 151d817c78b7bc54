using System.Text.Json.Serialization;

namespace Transformer.Runs;

/// <summary>
/// How the processes that mpirun or srun starts, the ranks, train one model together. However many they are, the batch stays what
/// batch_size says.
/// </summary>
public sealed record DistributedConfig
{
    /// <summary>
    /// What each rank keeps of parameters, gradients and the optimizer's moments. The steps are the same: bit for bit where ranks share the
    /// batch, to rounding where they share the layers (tensor_parallel).
    /// </summary>
    public DistributedStrategy Strategy { get; init; }
}

/// <summary>
/// What each of N ranks keeps (Rajbhandari et al. 2020 for the stages of ZeRO, Shoeybi et al. 2019 for tensor parallelism).
/// </summary>
[JsonConverter(typeof(JsonStringEnumConverter<DistributedStrategy>))]
public enum DistributedStrategy
{
    /// <summary>Everything: 16 bytes a parameter with Adam.</summary>
    [JsonStringEnumMemberName("data_parallel")]
    DataParallel,

    /// <summary>A share of the moments: 8 + 8/N bytes a parameter.</summary>
    [JsonStringEnumMemberName("zero1")]
    Zero1,

    /// <summary>A share of moments and gradients: 4 + 12/N bytes a parameter.</summary>
    [JsonStringEnumMemberName("zero2")]
    Zero2,

    /// <summary>A share of moments, gradients and parameters, which are brought together block by block: 16/N bytes a parameter.</summary>
    [JsonStringEnumMemberName("zero3")]
    Zero3,

    /// <summary>
    /// A share of the heads and hidden units of every block, with their moments and gradients; all ranks compute every batch together
    /// (Shoeybi et al. 2019). Embedding, norms and head are whole on each.
    /// </summary>
    [JsonStringEnumMemberName("tensor_parallel")]
    TensorParallel,
}
