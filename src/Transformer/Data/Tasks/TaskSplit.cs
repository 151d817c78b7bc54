namespace Transformer.Data.Tasks;

/// <summary>What a row is for; rows of one never come from the random numbers of the other.</summary>
internal enum TaskSplit
{
    /// <summary>To train on.</summary>
    Training,

    /// <summary>To validate on.</summary>
    Validation,
}
