namespace Transformer.Data.Tasks;

/// <summary>What a row is for; the two splits have separate random numbers.</summary>
internal enum TaskSplit
{
    /// <summary>To train on.</summary>
    Training,

    /// <summary>To validate on.</summary>
    Validation,
}
