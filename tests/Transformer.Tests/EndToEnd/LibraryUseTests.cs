using Transformer.Generation;
using Transformer.Inference.Torch;
using Transformer.Runs;
using Transformer.Training;

namespace Transformer.Tests.EndToEnd;

/// <summary>The program that the README shows.</summary>
public sealed class LibraryUseTests : IDisposable
{
    private readonly TemporaryFolder temporary = new();

    public void Dispose() => temporary.Dispose();

    [Fact]
    public void The_program_of_the_readme_trains_and_generates() => Assert.NotEmpty(TrainAndGenerate(temporary["run"]));

    private static string TrainAndGenerate(string folder)
    {
        var config = ConfigFile.Load("names", ["training.steps=50"]);
        using (var trainer = Trainer.Start(config, folder))
            Console.WriteLine($"validation loss {trainer.Run().ValidationLoss:f4}");

        using var loaded = ModelLoader.Open(folder, new LoadRequest());
        var generator = new TextGenerator(loaded.Model, loaded.Tokenizer);
        var sample = generator.GenerateText(["ann"], new SamplingOptions { Temperature = 0.8, MaxTokens = 20 })[0];
        Console.WriteLine(sample.Text);

        return sample.Text;
    }
}
