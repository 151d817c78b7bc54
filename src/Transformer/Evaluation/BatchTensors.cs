using Transformer.Configuration;
using Transformer.Data;
using Transformer.Data.Images;
using Transformer.Model;
using Transformer.Model.Vision;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Evaluation;

// B batch · T tokens · C width · N tokens with a target

/// <summary>Batches as tensors.</summary>
public static class BatchTensors
{
    /// <summary>A batch's inputs and targets on a device: 2 x [rows, columns], 64-bit integers.</summary>
    public static (Tensor Inputs, Tensor Targets) On(Batch batch, Device device) =>
        (On(batch.Inputs, batch, device), On(batch.Targets, batch, device));

    /// <summary>
    /// The hidden states that the head needs. Where few tokens have a target, only theirs are kept, in one row of N, so that no unused
    /// logits are computed.
    /// </summary>
    /// <param name="hidden">[B, T, C]</param>
    /// <param name="targets">[B, T]</param>
    /// <param name="batch">The batch of the targets.</param>
    /// <returns>[1, N, C] and [1, N]; unchanged where every token has a target.</returns>
    public static (Tensor Hidden, Tensor Targets) Labelled(Tensor hidden, Tensor targets, Batch batch)
    {
        var positions = batch.Targets.Index().Where(target => target.Item != Batch.IgnoredTarget).Select(target => (long)target.Index)
            .ToArray();
        if (positions.Length == batch.Targets.Length) return (hidden, targets);
        var chosen = tensor(positions).ToDeviceAsync(targets.device);
        return (
            hidden.flatten(0, 1).index_select(0, chosen).unsqueeze(0),      // [1, N, C]
            targets.flatten().index_select(0, chosen).unsqueeze(0));        // [1, N]
    }

    /// <summary>Where pieces end in a batch, on a device: [B, T]; null where it does not say.</summary>
    public static Tensor? PieceEnds(Batch batch, Device device) =>
        batch.PieceEnds is { } ends ? tensor(ends, batch.Rows, batch.Columns).ToDeviceAsync(device) : null;

    /// <summary>The pictures of a batch as a model reads them; null where it has none.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="model">The model that encodes them.</param>
    /// <param name="recomputation">Activation checkpointing; null where blocks keep all activations.</param>
    public static PictureVectors? Pictures(Batch batch, TransformerModel model, Recomputation? recomputation = null)
    {
        if (batch.Pixels is not { Count: > 0 } pixels) return null;
        using var scope = NewDisposeScope();
        var levels = tensor(pixels.Levels, pixels.Count, pixels.Size, pixels.Size, 3).ToDeviceAsync(model.Device);
        var vectors = model.EncodePictures(Normalised(levels, model.Config.Vision!.Image), recomputation);
        return new(vectors.MoveToOuterDisposeScope(), pixels.Of);
    }

    // What ImagePreprocessing gives, looked up on the device: [I, S, S, 3] to [I, 3, S, S].
    private static Tensor Normalised(Tensor levels, ImageConfig config)
    {
        var values = tensor(ImagePreprocessing.Values(config)).ToDeviceAsync(levels.device);
        var colours = ImagePreprocessing.Levels * arange(3, device: levels.device).view(3, 1, 1);
        var places = levels.permute(0, 3, 1, 2).to(ScalarType.Int64) + colours;
        return values.index_select(0, places.flatten()).view(places.shape);
    }

    private static Tensor On(long[] ids, Batch batch, Device device) => tensor(ids, batch.Rows, batch.Columns).ToDeviceAsync(device);
}
