using Transformer.Layers.Vision;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Model.Vision;

// T tokens · S keys · N vectors of a picture

/// <summary>How a text's last token attends to its last picture.</summary>
public static class AttentionToPicture
{
    /// <summary>The weights, by a block's mixer where the picture stands in the text, else by its cross-attention.</summary>
    /// <param name="model">The model.</param>
    /// <param name="ids">[1, T], -1 at the placeholders.</param>
    /// <param name="pictures">The pictures of the placeholders, at least one.</param>
    /// <returns>
    /// For each block the mean over its heads of the weights of the picture's N vectors; none where it has no such attention.
    /// </returns>
    public static IReadOnlyList<IReadOnlyList<double>> Of(TransformerModel model, Tensor ids, PictureVectors pictures)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        var weights = new Dictionary<nn.Module, Tensor>();
        model.Pass(
            model.EmbedWith(ids, pictures), new() { Ids = ids, Pictures = pictures, AttentionWeights = weights });
        foreach (var found in weights.Values) scope.Attach(found);
        var count = pictures.Vectors.shape[1];
        var last = Array.FindLastIndex(ids[0].cpu().data<long>().ToArray(), id => id < 0);
        return [.. model.Blocks.Select(block => block.Stateful
            .Where(function => weights.ContainsKey(function) && function is PictureAttention == model.HasCrossAttention)
            .Select(Picture).FirstOrDefault([]))];

        IReadOnlyList<double> Picture(nn.Module function)
        {
            var ofLast = weights[function][0, .., -1].mean([0]);                                // [S]
            return ofLast.narrow(0, model.HasCrossAttention ? ofLast.shape[0] - count : last + 1 - count, count).ToHost();
        }
    }
}
