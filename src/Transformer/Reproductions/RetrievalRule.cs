namespace Transformer.Reproductions;

/// <summary>How <see cref="RetrievalMemory"/> stores associations and reads them.</summary>
public enum RetrievalRule
{
    /// <summary>Softmax attention over all associations.</summary>
    Softmax,

    /// <summary>Linear attention with elu + 1 as features.</summary>
    Elu,

    /// <summary>Linear attention with the projection of nu = 1.</summary>
    Dpfp1,

    /// <summary>Linear attention with the projection of nu = 2.</summary>
    Dpfp2,

    /// <summary>The delta rule over the features of <see cref="Dpfp1"/>.</summary>
    Delta,
}
