using System.CommandLine;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Data.Images;
using Transformer.Diagrams;
using Transformer.Generation;
using Transformer.Inference.Torch;
using Transformer.Model.Vision;
using static TorchSharp.torch;

namespace Transformer.Cli;

/// <summary><c>inspect --image</c>: which patches of a picture the token before the answer attends to.</summary>
internal static class InspectPicture
{
    /// <summary>Draws it.</summary>
    /// <param name="request">The request.</param>
    /// <param name="loaded">The model.</param>
    /// <param name="path">Where it lies.</param>
    /// <param name="prompt">What is asked.</param>
    /// <param name="image">The picture's file.</param>
    /// <param name="drawing">The file of the drawing.</param>
    /// <exception cref="InputException">The model has no patches to show, or the picture cannot be read.</exception>
    public static void Run(ParseResult request, LoadedModel loaded, string path, string prompt, string image, string drawing)
    {
        var model = loaded.Model;
        if (model.Config.Vision is not { } vision)
            throw new InputException($"--image: {path} reads text alone, not pictures. Take a model that was trained with model.vision.");
        if (vision.Projector is PerceiverResamplerConfig)
            throw new InputException($"--image: {path} has a perceiver_resampler, so that the text attends to latents and not to patches.");
        var picture = ImagePreprocessing.Square(PictureFile.Read(image), vision.Image);
        int[] placeholders = [.. Enumerable.Repeat((int)Batch.ImagePlaceholder, vision.Placeholders)];
        var ids = TextGenerator.EncodeWithPictures(loaded.Tokenizer, prompt, 1, _ => placeholders);
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        model.eval();
        var (size, text) = (vision.Image.Size, tensor(ids, 1, ids.Length, dtype: ScalarType.Int64).to(model.Device));
        var pixels = tensor(ImagePreprocessing.Pixels(picture, vision.Image), 1, 3, size, size).to(model.Device);
        var pictures = new PictureVectors(model.EncodePictures(pixels), [0]);
        var answer = loaded.Tokenizer.Decode([(int)model.Logits(model.Hidden(text, pictures: pictures))[0, -1].argmax().item<long>()]);
        var weights = AttentionToPicture.Of(model, text, pictures);
        if (weights.All(block => block.Count == 0))
        {
            throw new InputException(
                $"--image: no block of {path} has softmax attention to all of a picture, so there is nothing to show.");
        }
        PictureDiagram.Write(drawing, $"{prompt.Trim()} \u2192 {answer.Trim()}", PictureFile.ToPng(picture), weights);
        var output = request.InvocationConfiguration.Output;
        if (request.GetValue(SharedOptions.Json))
            ScriptJson.Write(output, new { Prompt = prompt, Answer = answer, Weights = weights, Out = drawing });
        else output.WriteLine($"{prompt.Trim()} -> {answer.Trim()}. The picture is in {drawing}");
    }
}
