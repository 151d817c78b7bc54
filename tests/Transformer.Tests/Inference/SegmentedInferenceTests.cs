using Transformer.Inference;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Inference;

/// <summary>Texts of any length by models that read segments, on both backends, against the pass of training.</summary>
public sealed class SegmentedInferenceTests
{
    private const int Length = 23;    // four segments of five and three tokens of a fifth

    public static TheoryData<string, string> Kinds => new(
        from kind in Tiny.Segmented.Keys from backend in (string[])["cpu", "torch"] select (kind, backend));

    [Theory, MemberData(nameof(Kinds))]
    public void A_text_of_several_segments_has_the_logits_of_training_however_it_is_split(string kind, string backend)
    {
        using var scope = NewDisposeScope();
        using var model = Model(kind);
        using var inference = Backend(model, backend);
        var text = Text(Length);
        var expected = Logits(model, text);
        foreach (var parts in (int[][])[[Length], [1, 3, 7, 12], [5, 5, 5, 5, 3], [.. Enumerable.Repeat(1, Length)]])
        {
            using var state = inference.NewState(rows: 1);
            var first = 0;
            foreach (var count in parts)
            {
                inference.Read(state, [0], [count], text.AsSpan(first, count), all: true);
                for (var t = 0; t < count; t++) Compare(expected, first + t, inference.Logits(t));
                first += count;
            }
            Assert.Equal([Length], state.Lengths);
        }
    }

    [Theory, MemberData(nameof(Kinds))]
    public void Rows_of_unequal_length_are_continued_as_if_each_were_alone(string kind, string backend)
    {
        using var scope = NewDisposeScope();
        using var model = Model(kind);
        using var inference = Backend(model, backend);
        int[][] texts = [Text(17), Text(9), Text(6)];
        int[] read = [11, 2, 5];
        var expected = texts.Select(text => Logits(model, text)).ToArray();
        using var state = inference.NewState(rows: 3);
        inference.Read(state, [0, 1, 2], read, [.. texts.SelectMany((text, row) => text[..read[row]])]);
        for (var row = 0; row < 3; row++) Compare(expected[row], read[row] - 1, inference.Logits(row));
        while (Enumerable.Range(0, 3).Where(row => read[row] < texts[row].Length).ToArray() is { Length: > 0 } rows)
        {
            inference.Read(state, rows, [.. rows.Select(_ => 1)], [.. rows.Select(row => texts[row][read[row]])]);
            for (var part = 0; part < rows.Length; part++) Compare(expected[rows[part]], read[rows[part]]++, inference.Logits(part));
        }
    }

    [Theory, MemberData(nameof(Kinds))]
    public void A_cleared_row_and_a_copied_one_are_as_new_and_as_the_first(string kind, string backend)
    {
        using var scope = NewDisposeScope();
        using var model = Model(kind);
        using var inference = Backend(model, backend);
        var (text, other) = (Text(13), Text(8));
        using var state = inference.NewState(rows: 2);
        inference.Read(state, [0, 1], [8, 7], [.. other, .. text[..7]]);
        state.Clear(0);
        state.Copy(1, 0);
        inference.Read(state, [0], [6], text.AsSpan(7), all: true);
        for (var t = 0; t < 6; t++) Compare(Logits(model, text), 7 + t, inference.Logits(t));
        state.Clear(1);
        inference.Read(state, [1], [8], other, all: true);
        for (var t = 0; t < 8; t++) Compare(Logits(model, other), t, inference.Logits(t));
    }

    [Theory, MemberData(nameof(Kinds))]
    public void A_saved_state_goes_on_to_the_bit_and_has_one_size_whatever_the_length(string kind, string backend)
    {
        using var model = Model(kind);
        using var inference = Backend(model, backend);
        using var folder = new TemporaryFolder();
        var text = Text(40);
        using var state = inference.NewState(rows: 1);
        inference.Read(state, [0], [8], text.AsSpan(0, 8));
        var bytes = state.Bytes;
        inference.Read(state, [0], [20], text.AsSpan(8, 20));
        state.Save(folder["state"]);
        Assert.Equal(bytes, state.Bytes);
        using var loaded = inference.LoadState(folder["state"]);
        Assert.Equal(GoOn(state), GoOn(loaded));

        float[] GoOn(SequenceState from)
        {
            inference.Read(from, [0], [12], text.AsSpan(28));
            return inference.Logits(0).ToArray();
        }
    }

    private static InferenceModel Backend(TransformerModel model, string backend) => backend == "cpu"
        ? CpuInferenceModel.TryCreate(model, threads: 1)!
        : SegmentedInferenceModel.Over(new TorchInferenceModel(model));

    private static TransformerModel Model(string kind)
    {
        manual_seed(5);
        return Tiny.Model(kind);
    }

    private static int[] Text(int length) => [.. Tiny.Ids(1, length).data<long>().Select(id => (int)id)];

    // [T, V]
    private static Tensor Logits(TransformerModel model, int[] text)
    {
        using var _ = no_grad();
        return model.call(tensor(text, ScalarType.Int64).unsqueeze(0), null)[0];
    }

    private static void Compare(Tensor expected, int token, ReadOnlySpan<float> found) =>
        Near.Equal(expected[token], tensor(found.ToArray()), 5e-5, $"token {token}");
}
