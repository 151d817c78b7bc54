using System.IO.Hashing;
using System.Runtime.InteropServices;
using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Model;
using Transformer.Model.Vision;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Inference.Torch;

// B rows of a pass · T tokens · N outputs · C width · V vocabulary

/// <summary>A model that libtorch computes, on any device, alone or shared among ranks.</summary>
/// <remarks>
/// Rows of one pass are padded on the right to the longest; rows that get one token and rows that get more are computed in separate passes.
/// If ranks share the model, rank 0 drives: the others call <see cref="Follow"/> and take part in whatever it does, until it disposes the
/// model. Logits are those of rank 0.
/// </remarks>
public sealed class TorchInferenceModel : InferenceModel
{
    private readonly TransformerModel model;
    private readonly ModelCommands? ranks;
    private readonly bool ownsModel, wasTraining;
    private float[] logits = [], hidden = [];

    /// <param name="model">The model; it is in evaluation meanwhile.</param>
    /// <param name="ownsModel">Whether this disposes the model.</param>
    public TorchInferenceModel(TransformerModel model, bool ownsModel = false)
    {
        (this.model, this.ownsModel, wasTraining) = (model, ownsModel, model.training);
        if (model.TensorParallelGroup is { } group) ranks = new ModelCommands(group.Collective);
        model.eval();
    }

    /// <inheritdoc/>
    public override ModelConfig Config => model.Config;

    /// <inheritdoc/>
    public override string Backend => model.Device.type == TorchSharp.DeviceType.CPU
        ? "torch"
        : $"torch/{model.Device.type.ToString().ToLowerInvariant()}";

    /// <inheritdoc/>
    internal override ReadOnlySpan<float> MemoryTokens => model.MemoryTokens is { } tokens ? Numbers(tokens.detach()) : [];

    /// <summary>Whether another rank drives, so that this one can only <see cref="Follow"/>.</summary>
    public bool IsFollower => model.TensorParallelGroup is { Rank: > 0 };

    /// <summary>Takes part in every call of rank 0, until rank 0 disposes the model.</summary>
    /// <exception cref="InvalidOperationException">No other rank drives this one, or a pass failed here.</exception>
    public void Follow()
    {
        if (!IsFollower) throw new InvalidOperationException("rank 0 drives and cannot follow");
        var states = new Dictionary<int, TorchSequenceState>();
        try
        {
            while (ranks!.Receive() is { Kind: not ModelCommandKind.End } command) CarryOut(command, states);
        }
        catch (InputException e)
        {
            // Rank 0 has checked the arguments, so that an exception here is a failure of this rank alone.
            throw new InvalidOperationException(e.Message, e);
        }
        finally
        {
            foreach (var state in states.Values) state.Dispose();
        }
    }

    /// <inheritdoc/>
    protected override SequenceState CreateState(int rows, int capacity)
    {
        RefuseToDrive();
        var (number, state) = (-1, default(TorchSequenceState)!);
        if (ranks is not null) number = ranks.NewState(rows, capacity);
        Guarded(() => state = NewState(rows, capacity));
        if (ranks is null) return state;
        ranks.Name(state, number);
        state.Changing = change => ranks.Change(state, change);
        return state;
    }

    /// <inheritdoc/>
    internal override string? ObstacleToDropping => ranks is null
        ? TokenDropping.ObstacleTo(Config)
        : "ranks that share a model cannot drop tokens of its state";

    /// <inheritdoc/>
    private protected override SequenceState CreateDroppingState(int rows, int capacity) => NewState(rows, capacity, canDrop: true);

    /// <inheritdoc/>
    protected override void Compute(SequenceState state, ReadOnlySpan<int> rows, ReadOnlySpan<int> counts, InferenceInput input, bool all)
    {
        RefuseToDrive();
        ranks?.Read((TorchSequenceState)state, rows, counts, input, all);
        try
        {
            Pass((TorchSequenceState)state, rows, counts, input, all, wantsOutputs: true);
        }
        catch
        {
            ranks?.Break();
            throw;
        }
    }

    /// <inheritdoc/>
    protected override Span<float> LogitsOf(int output) =>
        logits.AsSpan(output * Config.VocabularySize!.Value, Config.VocabularySize!.Value);

    /// <inheritdoc/>
    protected override ReadOnlySpan<float> HiddenOf(int output) => hidden.AsSpan(output * Config.Width, Config.Width);

    /// <inheritdoc/>
    protected override string HashWeights()
    {
        var hash = new XxHash128();
        foreach (var (_, weight) in model.Weights)
        {
            using var scope = NewDisposeScope();
            TensorBytes.Visit(weight.detach().cpu().contiguous(), chunk => hash.Append(chunk));
        }
        return Convert.ToHexStringLower(hash.GetCurrentHash());
    }

    internal override void RefuseUnsavable()
    {
        if (model.TensorParallelGroup is not null)
            throw new InputException(
                "state: ranks that share a model hold a part of its state each, which cannot be saved or loaded. Take one process.");
    }

    private TorchSequenceState NewState(int rows, int capacity, bool canDrop = false)
    {
        using var inference = inference_mode();
        return model.NewState(rows, capacity, owner: this, canDrop);
    }

    private void CarryOut(ModelCommand command, Dictionary<int, TorchSequenceState> states)
    {
        switch (command.Kind)
        {
            case ModelCommandKind.NewState:
                states.Add(command.State, NewState(command.First, command.Second));
                break;
            case ModelCommandKind.Clear:
                states[command.State].Clear(command.First);
                break;
            case ModelCommandKind.Copy:
                states[command.State].Copy(command.First, command.Second);
                break;
            case ModelCommandKind.Truncate:
                states[command.State].Truncate(command.First, command.Second);
                break;
            case ModelCommandKind.Carry:
                states[command.State].Carry(command.First);
                break;
            case ModelCommandKind.DisposeState:
                states.Remove(command.State, out var ended);
                ended!.Dispose();
                break;
            case ModelCommandKind.Read:
                var input = command.Embeddings.Length > 0 ? InferenceInput.OfEmbeddings(command.Embeddings, Config.Width) : command.Ids;
                Pass(states[command.State], command.Rows, command.Counts, input, command.All, wantsOutputs: false);
                break;
        }
    }

    // Two passes at most: padded to the longest prompt, rows that get a single token would cost as much as the prompt.
    private void Pass(
        TorchSequenceState state, ReadOnlySpan<int> rows, ReadOnlySpan<int> counts, InferenceInput input, bool all, bool wantsOutputs)
    {
        using var inference = inference_mode();
        if (wantsOutputs) Reserve(all ? input.Tokens : rows.Length);
        List<Part> single = [], several = [];
        for (var (part, first) = (0, 0); part < rows.Length; first += counts[part++])
            (counts[part] == 1 ? single : several).Add(new(rows[part], first, counts[part], Output: all ? first : part));
        if (single.Count > 0) Pass(state, single, input, all, wantsOutputs);
        if (several.Count > 0) Pass(state, several, input, all, wantsOutputs);
    }

    private void Pass(TorchSequenceState state, List<Part> parts, InferenceInput input, bool all, bool wantsOutputs)
    {
        using var scope = NewDisposeScope();
        var (firstRow, longest) = (parts.Min(part => part.Row), parts.Max(part => part.Count));
        var batch = parts.Max(part => part.Row) + 1 - firstRow;
        var counts = new int[batch];
        foreach (var part in parts) counts[part.Row - firstRow] = part.Count;
        var embeddings = input.IsEmbeddings ? Embeddings(parts, input, firstRow, batch, longest) : null;       // [B, T, C]
        var ids = input.IsEmbeddings ? null : Ids(parts, input, firstRow, batch, longest);                     // [B, T]
        var pictures = input.IsEmbeddings ? null : Pictures(parts, input);
        Tensor output;                                                                                         // [B, T, C]
        if (batch == state.Lengths.Count) output = Hidden(state);
        else
        {
            using var some = state.Narrow(firstRow, batch);
            output = Hidden(some);
            for (var row = 0; row < batch; row++) state.Advance(firstRow + row, counts[row]);
        }
        if (wantsOutputs) Keep(output, parts, firstRow, longest, all);

        Tensor Hidden(TorchSequenceState state) => ids is null
            ? model.HiddenFromEmbeddings(embeddings!, state, counts)
            : model.Hidden(ids, state, counts, pictures);
    }

    // What ids below 0 stand for: a vector each or, for cross-attention, a picture each.
    private PictureVectors? Pictures(List<Part> parts, InferenceInput input)
    {
        var ids = new List<int>();
        foreach (var part in parts.OrderBy(part => part.Row))
            foreach (var id in input.Ids.Slice(part.First, part.Count))
                if (id < 0) ids.Add(id);
        if (ids.Count == 0) return null;
        int[] distinct = [.. ids.Distinct()];
        var vectors = distinct.SelectMany(id => VectorsOf(id).ToArray()).ToArray();
        return new(
            tensor(vectors, distinct.Length, vectors.Length / distinct.Length / Config.Width, Config.Width).to(model.Device),
            [.. ids.Select(id => Array.IndexOf(distinct, id))]);
    }

    /// <inheritdoc/>
    protected override float[] EncodePicture(ReadOnlySpan<float> pixels)
    {
        if (ranks is not null) throw new InputException("pictures: ranks that share a model read text alone. Take one process.");
        using var inference = inference_mode();
        using var scope = NewDisposeScope();
        var size = Config.Vision!.Image.Size;
        return Numbers(model.EncodePictures(tensor(pixels.ToArray(), 1, 3, size, size).to(model.Device)));
    }

    private Tensor Ids(List<Part> parts, InferenceInput input, int firstRow, int batch, int longest)
    {
        var ids = zeros(batch, longest, ScalarType.Int64);                                                     // [B, T]
        var numbers = MemoryMarshal.Cast<byte, long>(ids.bytes);
        foreach (var part in parts)
            for (var t = 0; t < part.Count; t++) numbers[(part.Row - firstRow) * longest + t] = input.Ids[part.First + t];
        return ids.to(model.Device);
    }

    private Tensor Embeddings(List<Part> parts, InferenceInput input, int firstRow, int batch, int longest)
    {
        var embeddings = zeros(batch, longest, Config.Width);                                                  // [B, T, C]
        var numbers = MemoryMarshal.Cast<byte, float>(embeddings.bytes);
        foreach (var part in parts)
            input.Slice(part.First, part.Count).Embeddings.CopyTo(numbers[((part.Row - firstRow) * longest * Config.Width)..]);
        return embeddings.to(model.Device);
    }

    // The logits and hidden states of the wanted tokens.
    private void Keep(Tensor output, List<Part> parts, int firstRow, int longest, bool all)
    {
        var outputs = parts.SelectMany(part => Wanted(part).Select(t => (long)(part.Row - firstRow) * longest + t));
        var wanted = output.flatten(0, 1)[tensor(outputs.ToArray()).ToDeviceAsync(model.Device)];               // [N, C]
        var (found, states) = (Numbers(model.Logits(wanted)), Numbers(wanted));
        var done = 0;
        foreach (var part in parts)
        {
            var count = all ? part.Count : 1;
            Copy(found, logits, Config.VocabularySize!.Value);
            Copy(states, hidden, Config.Width);
            done += count;

            void Copy(float[] from, float[] to, int width) =>
                from.AsSpan(done * width, count * width).CopyTo(to.AsSpan(part.Output * width));
        }

        IEnumerable<int> Wanted(Part part) => all ? Enumerable.Range(0, part.Count) : [part.Count - 1];
    }

    private static float[] Numbers(Tensor tensor) =>
        MemoryMarshal.Cast<byte, float>(tensor.to(ScalarType.Float32).cpu().contiguous().bytes).ToArray();

    private void Reserve(int outputs)
    {
        if (logits.Length >= outputs * Config.VocabularySize!.Value) return;
        (logits, hidden) = (new float[outputs * Config.VocabularySize!.Value], new float[outputs * Config.Width]);
    }

    private void RefuseToDrive()
    {
        if (IsFollower) throw new InvalidOperationException("rank 0 drives; this rank can only follow");
    }

    private void Guarded(Action act)
    {
        try
        {
            act();
        }
        catch
        {
            ranks?.Break();
            throw;
        }
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        if (!IsFollower) ranks?.End();
        if (ownsModel) model.Dispose();
        else model.train(wasTraining);
    }

    // A row's tokens: the index of the first one in the input, and the index of its logits.
    private readonly record struct Part(int Row, int First, int Count, int Output);
}
