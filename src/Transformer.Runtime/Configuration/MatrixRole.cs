namespace Transformer.Configuration;

/// <summary>The role of a matrix in a model, which initializations depend on.</summary>
public enum MatrixRole
{
    /// <summary>A table of vectors or numbers that are looked up.</summary>
    Embedding,

    /// <summary>A linear map within a block, none of those below.</summary>
    Hidden,

    /// <summary>A linear map that scales what a sub-layer adds to the stream: an attention's values, an MLP's hidden units.</summary>
    Value,

    /// <summary>A linear map back into the residual stream.</summary>
    ResidualProjection,

    /// <summary>The map from the last hidden state to the logits.</summary>
    Head,
}
