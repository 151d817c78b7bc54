using Transformer.Comparison;
using Transformer.Data;
using Transformer.Runs;
using Transformer.Training;

namespace Transformer.Tests.Comparison;

public sealed class CoordinateCheckTests
{
    [Fact]
    public void Coordinates_change_alike_at_all_widths_under_mup_and_not_otherwise()
    {
        var (mup, standard) = (Slopes("{kind: mup, base_width: 32}"), Slopes("{kind: gpt2}"));
        Assert.All(mup, at => Assert.InRange(at.Slope, -0.35, 0.35));
        Assert.True(standard[^1].Slope > 0.5, $"the logits' slope is {standard[^1].Slope:f2}");
    }

    private static IReadOnlyList<(string Place, double Slope)> Slopes(string initialization)
    {
        int[] widths = [32, 64, 128, 256];
        return CoordinateCheck.Slopes([.. widths.Select(width =>
        {
            var config = ConfigFile.Load("shakespeare-char-nanogpt", [
                $"model.width={width}", $"model.attention.heads={width / 16}", "model.layers=2", "model.context_length=16",
                "training.batch_size=8", "training.optimizer.learning_rate=1e-2", $"model.initialization={initialization}"]);
            using var data = Dataset.Open(config.Data);
            return (width, CoordinateCheck.Of(Trainer.Resolve(config, data), data));
        })]);
    }
}
