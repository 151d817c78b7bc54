namespace Transformer.Onnx;

/// <summary>Of which operators a graph is made.</summary>
public enum OnnxOperators
{
    /// <summary>Those of the standard's set 17: any runtime of the format reads them. A text may have filling on either side.</summary>
    Standard,

    /// <summary>
    /// ONNX Runtime's own, which compute in one step what is many in the standard: grouped attention with rotation and cache, norms with
    /// the sum before them, activations, the recurrence of linear attention. Filling may stand behind a text only.
    /// </summary>
    Fused,
}
