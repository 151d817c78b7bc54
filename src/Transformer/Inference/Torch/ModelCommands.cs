using System.Runtime.InteropServices;
using Transformer.Distributed;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Inference.Torch;

/// <summary>
/// The commands by which rank 0 drives a model that ranks share: a header of numbers each, and for a pass the tokens. After a failure the
/// ranks may no longer be at the same operation: nothing more is sent, and the job has to end.
/// </summary>
/// <param name="collective">The ranks.</param>
internal sealed class ModelCommands(ICollective collective)
{
    private const int HeaderLength = 8;

    private readonly Dictionary<TorchSequenceState, int> numbers = [];
    private int states;
    private bool isBroken, hasEnded;

    /// <summary>Asks for a state.</summary>
    /// <returns>Its number.</returns>
    public int NewState(int rows, int capacity)
    {
        Send(new(ModelCommandKind.NewState, states, rows, capacity));
        return states++;
    }

    /// <summary>Records this rank's state under a number.</summary>
    public void Name(TorchSequenceState state, int number) => numbers.Add(state, number);

    /// <summary>Asks for a change of a state.</summary>
    public void Change(TorchSequenceState state, StateChange change)
    {
        var kind = change.Kind switch
        {
            StateChangeKind.Clear => ModelCommandKind.Clear,
            StateChangeKind.Copy => ModelCommandKind.Copy,
            StateChangeKind.Truncate => ModelCommandKind.Truncate,
            StateChangeKind.Carry => ModelCommandKind.Carry,
            _ => ModelCommandKind.DisposeState,
        };
        // A state that ends after a failure or after the model itself is not reported to the other ranks.
        if (kind == ModelCommandKind.DisposeState && (isBroken || hasEnded)) return;
        Send(new(kind, numbers[state], change.Row, change.Argument));
        if (kind == ModelCommandKind.DisposeState) numbers.Remove(state);
    }

    /// <summary>Asks for a pass.</summary>
    public void Read(TorchSequenceState state, ReadOnlySpan<int> rows, ReadOnlySpan<int> counts, InferenceInput input, bool all) => Send(
        new(ModelCommandKind.Read, numbers[state])
        {
            Rows = rows.ToArray(),
            Counts = counts.ToArray(),
            Ids = input.Ids.ToArray(),
            Embeddings = input.Embeddings.ToArray(),
            All = all,
        });

    /// <summary>Stops sending, after a failure.</summary>
    public void Break() => isBroken = true;

    /// <summary>Ends the loops of the other ranks, unless something failed.</summary>
    public void End()
    {
        if (isBroken || hasEnded) return;
        Send(new(ModelCommandKind.End, 0));
        hasEnded = true;
    }

    /// <summary>On the other ranks, the next command.</summary>
    public ModelCommand Receive()
    {
        var header = Broadcast(new int[HeaderLength]);
        var command = new ModelCommand((ModelCommandKind)header[0], header[1], header[2], header[3]);
        if (command.Kind != ModelCommandKind.Read) return command;
        var (parts, ids, embeddings) = (header[4], header[5], header[6]);
        var numbers = Broadcast(new int[2 * parts + ids]);
        return command with
        {
            Rows = numbers[..parts],
            Counts = numbers[parts..(2 * parts)],
            Ids = numbers[(2 * parts)..],
            Embeddings = embeddings > 0 ? Broadcast(new float[embeddings]) : [],
            All = header[7] != 0,
        };
    }

    private void Send(ModelCommand command)
    {
        if (isBroken || hasEnded)
            throw new InvalidOperationException(
                isBroken ? "a pass failed, after which the ranks are out of step" : "the model has been disposed");
        try
        {
            Broadcast(
            [
                (int)command.Kind, command.State, command.First, command.Second,
                command.Rows.Length, command.Ids.Length, command.Embeddings.Length, command.All ? 1 : 0,
            ]);
            if (command.Kind != ModelCommandKind.Read) return;
            Broadcast<int>([.. command.Rows, .. command.Counts, .. command.Ids]);
            if (command.Embeddings.Length > 0) Broadcast(command.Embeddings);
        }
        catch
        {
            isBroken = true;
            throw;
        }
    }

    private T[] Broadcast<T>(T[] numbers) where T : unmanaged
    {
        using var scope = NewDisposeScope();
        var carried = zeros(numbers.Length * Marshal.SizeOf<T>(), ScalarType.Byte);
        MemoryMarshal.AsBytes<T>(numbers).CopyTo(carried.bytes);
        collective.Broadcast(carried, root: 0);
        return MemoryMarshal.Cast<byte, T>(carried.bytes).ToArray();
    }
}
