namespace Transformer.Configuration;

/// <summary>What linear attention makes of a query or key before it meets the matrix.</summary>
public enum LinearFeatures
{
    /// <summary>The query or key itself.</summary>
    Identity,

    /// <summary>x / sqrt(|x|^2 + epsilon): a vector of length one.</summary>
    UnitLength,

    /// <summary>elu(x) + 1 (Katharopoulos et al. 2020).</summary>
    Elu,

    /// <summary>Sparse products of rectified components (Schlag et al. 2021).</summary>
    Dpfp,

    /// <summary>1, x and x x^T, whose product is the exponential's second-order Taylor series (Arora et al. 2024, Based).</summary>
    Taylor,
}
