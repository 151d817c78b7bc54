using Transformer.Inference;

namespace Transformer.Tests.Inference;

internal static class TextLogits
{
    /// <summary>The logits of all tokens of a text that is read in parts.</summary>
    public static float[][] Of(InferenceModel model, params int[][] parts)
    {
        using var state = model.NewState(rows: 1);
        List<float[]> logits = [];
        foreach (var part in parts)
        {
            model.Read(state, [0], [part.Length], part, all: true);
            for (var token = 0; token < part.Length; token++) logits.Add(model.Logits(token).ToArray());
        }
        return [.. logits];
    }
}
