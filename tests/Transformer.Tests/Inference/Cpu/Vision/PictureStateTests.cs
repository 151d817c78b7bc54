using Transformer.Inference;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;

namespace Transformer.Tests.Inference.Cpu.Vision;

/// <summary>What rows of the engine keep of pictures.</summary>
public sealed class PictureStateTests
{
    public static TheoryData<string> Kinds => [.. VisionCases.Models.Keys];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_copied_row_goes_on_as_the_first_and_a_cleared_one_begins_anew(string kind)
    {
        using var model = VisionCases.Model(kind);
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var state = engine.NewState(rows: 2);
        var (ids, other, plain) = (Ids(4), Ids(5), Ids(0));
        var (expected, expectedPlain) = (TextLogits.Of(engine, ids)[^1], TextLogits.Of(engine, plain)[^1]);
        After(1, other);
        After(0, ids[..^3]);
        state.Copy(from: 0, to: 1);
        Assert.Equal(expected, After(1, ids[^3..]));
        Assert.Equal(expected, After(0, ids[^3..]));
        state.Clear(1);
        Assert.Equal(expectedPlain, After(1, plain));
        state.Clear(0);
        state.Copy(from: 1, to: 0);
        Assert.Equal(After(1, [3]), After(0, [3]));

        int[] Ids(int text) => VisionCases.Ids(engine, VisionCases.Texts[text]);

        float[] After(int row, int[] tokens)
        {
            engine.Read(state, [row], [tokens.Length], tokens);
            return engine.Logits(0).ToArray();
        }
    }

    // The other engine has seen no picture: what stands before the saved place is in the state.
    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_saved_row_goes_on_in_another_engine(string kind)
    {
        using var folder = new TemporaryFolder();
        using var model = VisionCases.Model(kind);
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var another = CpuInferenceModel.TryCreate(model)!;
        var ids = VisionCases.Ids(engine, VisionCases.Texts[4][..^2]);
        using var state = engine.NewState(rows: 3);
        engine.Read(state, [1, 2], [ids.Length, 3], [.. ids, 5, 1, 7]);
        state.Save(folder["state"]);
        using var loaded = another.LoadState(folder["state"]);
        Assert.Equal(Rest(engine, state), Rest(another, loaded));
        loaded.Save(folder["loaded"]);
        state.Save(folder["state"]);
        Assert.Equal(File.ReadAllBytes(folder["state"]), File.ReadAllBytes(folder["loaded"]));

        static float[][] Rest(InferenceModel engine, SequenceState state)
        {
            engine.Read(state, [2, 1], [2, 3], [8, 2, 5, 0, 11]);
            return [engine.Logits(0).ToArray(), engine.Logits(1).ToArray()];
        }
    }

    [Theory]
    [InlineData("cross, linear")]
    [InlineData("prefix, linear")]
    public void A_file_does_not_tell_what_a_row_held_before(string kind)
    {
        using var folder = new TemporaryFolder();
        using var model = VisionCases.Model(kind);
        using var engine = CpuInferenceModel.TryCreate(model)!;
        using var used = engine.NewState(rows: 2);
        using var fresh = engine.NewState(rows: 2);
        var (pictures, plain) = (VisionCases.Ids(engine, VisionCases.Texts[4]), VisionCases.Texts[0]);
        engine.Read(used, [0, 1], [pictures.Length, pictures.Length], [.. pictures, .. pictures]);
        used.Clear(0);
        engine.Read(used, [0], [plain.Length], plain);
        used.Copy(from: 0, to: 1);
        engine.Read(fresh, [0, 1], [plain.Length, plain.Length], [.. plain, .. plain]);
        used.Save(folder["used"]);
        fresh.Save(folder["fresh"]);
        Assert.Equal(File.ReadAllBytes(folder["fresh"]), File.ReadAllBytes(folder["used"]));
    }

    [Fact]
    public void Only_a_prefix_can_be_cut_where_a_picture_stands()
    {
        Assert.True(CanTruncate("prefix, linear"));
        Assert.False(CanTruncate("cross, linear"));

        static bool CanTruncate(string kind)
        {
            using var model = VisionCases.Model(kind);
            using var engine = CpuInferenceModel.TryCreate(model)!;
            using var state = engine.NewState(rows: 1);
            return state.CanTruncate;
        }
    }

    [Theory]
    [InlineData("prefix, linear")]
    [InlineData("cross, linear")]
    public void A_step_allocates_nothing(string kind)
    {
        using var model = VisionCases.Model(kind);
        using var engine = CpuInferenceModel.TryCreate(model, WeightFormat.Q8)!;
        using var state = engine.NewState(rows: 2);
        int[] rows = [0, 1], ones = [1, 1], tokens = [3, VisionCases.Ids(engine, -1)[0]];
        for (var step = 0; step < 4; step++) engine.Read(state, rows, ones, tokens);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var step = 0; step < 6; step++) engine.Read(state, rows, ones, tokens);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}
