using System.Text.Json.Serialization;

namespace Transformer.Runs;

/// <summary>
/// How the ranks, the processes that mpirun or srun starts, train one model together. Whatever their number, batch_size is the size of the
/// whole batch.
/// </summary>
public sealed record DistributedConfig
{
    /// <summary>
    /// What each rank keeps of parameters, gradients and the optimizer's moments. All strategies take the same steps: bit for bit
    /// those that divide the batch, up to rounding the one that divides layers (tensor_parallel) and the run of one process.
    /// </summary>
    public DistributedStrategy Strategy { get; init; }
}

/// <summary>
/// What each of N ranks keeps (Rajbhandari et al. 2020 for the stages of ZeRO, Shoeybi et al. 2019 for tensor parallelism).
/// </summary>
[JsonConverter(typeof(JsonStringEnumConverter<DistributedStrategy>))]
public enum DistributedStrategy
{
    /// <summary>Everything: 16 bytes per parameter with Adam.</summary>
    [JsonStringEnumMemberName("data_parallel")]
    DataParallel,

    /// <summary>A shard of the moments: 8 + 8/N bytes per parameter.</summary>
    [JsonStringEnumMemberName("zero1")]
    Zero1,

    /// <summary>A shard of moments and gradients: 4 + 12/N bytes per parameter.</summary>
    [JsonStringEnumMemberName("zero2")]
    Zero2,

    /// <summary>A shard of moments, gradients and parameters, which are gathered block by block: 16/N bytes per parameter.</summary>
    [JsonStringEnumMemberName("zero3")]
    Zero3,

    /// <summary>
    /// A shard of the heads and hidden units of every block, with their moments and gradients; all ranks compute every batch together
    /// (Shoeybi et al. 2019). Embedding, norms and head are replicated.
    /// </summary>
    [JsonStringEnumMemberName("tensor_parallel")]
    TensorParallel,
}
