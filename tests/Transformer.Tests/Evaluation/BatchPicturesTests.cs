using Transformer.Configuration;
using Transformer.Data;
using Transformer.Data.Images;
using Transformer.Evaluation;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Evaluation;

public sealed class BatchPicturesTests
{
    [Fact]
    public void Pictures_of_a_batch_are_to_the_bit_what_a_prompt_would_show()
    {
        var image = new ImageConfig { Size = 16, Mean = [0.48, 0.46, 0.41], Deviation = [0.27, 0.26, 0.28] };
        var config = Tiny.Config with { Vision = new PrefixVisionConfig { Image = image, Patch = 8 } };
        using var model = new TransformerModel(config);
        Picture[] pictures = [Gradient(0), Gradient(1)];
        var batch = new Batch([Batch.ImagePlaceholder, Batch.ImagePlaceholder], [5, 6], 1, 2) { Pictures = new(pictures, [1, 0]) };
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var found = BatchTensors.Pictures(batch.ReadBy(config.Vision), model)!;
        Assert.Equal([1, 0], found.Of);
        var pixels = pictures.SelectMany(picture => ImagePreprocessing.Pixels(picture, image)).ToArray();
        var expected = model.EncodePictures(tensor(pixels, 2, 3, 16, 16));
        Assert.Equal(expected.data<float>().ToArray(), found.Vectors.data<float>().ToArray());
    }

    // Every level of every colour.
    private static Picture Gradient(int first) =>
        new(16, 16, [.. Enumerable.Range(0, 256).SelectMany(i => new[] { (byte)(i + first), (byte)(255 - i), (byte)(7 * i) })]);
}
