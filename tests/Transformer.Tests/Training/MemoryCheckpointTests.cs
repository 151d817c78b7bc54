using Transformer.Checkpoints;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Tests.Training;

/// <summary>What a model remembers of its text, written by some ranks and read by others.</summary>
public sealed class MemoryCheckpointTests
{
    private const int Rows = 5;

    public static TheoryData<string, int> Cases =>
        new(from kind in Tiny.Segmented.Keys from readers in (int[])[1, 2, 3] select (kind, readers));

    [Theory, MemberData(nameof(Cases))]
    public void Any_number_of_ranks_goes_on_with_what_two_have_written(string kind, int readers)
    {
        using var _ = no_grad();
        using var folder = new TemporaryFolder();
        using var model = Tiny.Model(kind);
        var (before, text) = (Tiny.Ids(Rows, 13), Tiny.Ids(Rows, 8));
        bool[] starts = [.. Enumerable.Range(0, Rows * 3).Select(segment => segment == 7)];    // the third row begins anew
        using var whole = model.Continue(before, null, starts).Memory;
        var shapes = MemoryCheckpoint.Shapes(model, whole)!;
        foreach (var rank in (int[])[0, 1])
        {
            var (first, count) = Part(rank, 2);
            var own = Enumerable.Range(first * 3, count * 3).Select(segment => starts[segment]).ToArray();
            using var part = model.Continue(before.narrow(0, first, count), null, own).Memory;
            TrainingTensors.Write(folder.Path, MemoryCheckpoint.Of(model, part, first), rank, ranks: 2);
        }

        using var file = TrainingTensors.Open(folder.Path);
        var expected = model.Continue(text, whole).Hidden;
        for (var rank = 0; rank < readers; rank++)
        {
            var (first, count) = Part(rank, readers);
            using var read = MemoryCheckpoint.Load(file, model, shapes, first, count);
            Near.Equal(expected.narrow(0, first, count), model.Continue(text.narrow(0, first, count), read).Hidden, 1e-3);
        }
    }

    private static (int First, int Count) Part(int rank, int ranks) =>
        (Rows * rank / ranks, Rows * (rank + 1) / ranks - Rows * rank / ranks);
}
