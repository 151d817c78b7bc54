namespace Transformer.Onnx;

/// <summary>The kinds of a graph's states.</summary>
internal enum OnnxStateKind
{
    /// <summary>A cache that each pass makes longer: [B, G, P, D].</summary>
    Growing,

    /// <summary>A cache that an operator fills in place: [B, G, S, D].</summary>
    InPlace,

    /// <summary>A state whose size does not depend on the length of the text.</summary>
    Recurrent,
}
