using TorchSharp;
using Transformer.Layers;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Model;

// B batch · T tokens · C width · G key/value heads · D head width

/// <summary>
/// Activation checkpointing: a block that keeps nothing for the backward pass but its input (Chen et al. 2016, arXiv:1604.06174): it is
/// computed without a graph, and again with one in the backward pass, from the same random numbers and so bit-identically.
/// </summary>
internal sealed class CheckpointedBlock : autograd.MultiTensorFunction<CheckpointedBlock>
{
    /// <inheritdoc/>
    public override string Name => nameof(CheckpointedBlock);

    /// <summary>What <c>block.call(stream, context)</c> gives, with its side effects on the context.</summary>
    /// <param name="block">The block.</param>
    /// <param name="stream">[B, T, C], or what the residual made of it.</param>
    /// <param name="context">What the layers of this pass share; its tensors live until the backward pass.</param>
    /// <param name="parameters">Gathers the block's parameters while they are needed; gives null where they are always in memory.</param>
    public static Tensor Apply(Block block, Tensor stream, ForwardContext context, Func<IDisposable?> parameters)
    {
        using var scope = NewDisposeScope();
        // Parameters are not inputs of this function, so that the stream must require a gradient even above frozen embeddings.
        if (!stream.requires_grad) stream = stream.detach().requires_grad_(true);
        var computation = new Computation(block, context, parameters);
        var results = apply(stream, context.FirstValues!, context.Pictures?.Vectors!, computation);
        if (computation.GivesValues) context.KeepFirstValues(results[^1]);
        foreach (var term in results[1..^(computation.GivesValues ? 1 : 0)]) context.AuxiliaryLosses!.Add(term);
        return scope.MoveToOuter(results[0]);
    }

    /// <inheritdoc/>
    public override List<Tensor> forward(autograd.AutogradContext context, params object[] inputs)
    {
        using var scope = NewDisposeScope();
        var (stream, firstValues, pictures, computation) =
            ((Tensor)inputs[0], (Tensor?)inputs[1], (Tensor?)inputs[2], (Computation)inputs[3]);
        context.set_materialize_grads(false);
        context.save_data(nameof(Computation), computation);
        computation.HasFirstValues = firstValues is not null;
        context.save_for_backward(
            [.. new[] { get_rng_state().MoveToOuterDisposeScope(), stream, firstValues, pictures }.OfType<Tensor>()]);
        using var parameters = computation.Parameters();
        var results = computation.Run(scope, stream, firstValues, pictures, isAgain: false);
        foreach (var result in results) scope.MoveToOuter(result);
        return results;
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext context, List<Tensor> gradients)
    {
        using var scope = NewDisposeScope();
        var computation = (Computation)context.get_data(nameof(Computation));
        var random = get_rng_state();
        try
        {
            var saved = context.get_saved_variables();
            // The stream and, where there are any, v_1 and the vectors of pictures.
            Tensor[] inputs = [.. saved.Skip(1).Select(input => input.detach().requires_grad_(true))];
            var firstValues = computation.HasFirstValues ? inputs[1] : null;
            var pictures = inputs.ElementAtOrDefault(computation.HasFirstValues ? 2 : 1);
            set_rng_state(saved[0]);
            using var parameters = computation.Parameters();
            using (enable_grad())
            {
                var results = computation.Run(scope, inputs[0], firstValues, pictures, isAgain: true);
                var asked = results.Zip(gradients).Where(pair => pair.First.requires_grad && !pair.Second.IsInvalid).ToList();
                autograd.backward([.. asked.Select(pair => pair.First)], [.. asked.Select(pair => pair.Second)]);
            }
            return BackwardPass.Return(scope, [inputs[0].grad!, firstValues?.grad!, pictures?.grad!, null!]);
        }
        catch (Exception exception)
        {
            computation.Fail(exception);
            return [null!, null!, null!, null!];
        }
        finally
        {
            set_rng_state(random);
            foreach (var gradient in gradients) gradient.Dispose();
        }
    }

    // A block with its inputs, to be computed twice.
    private sealed class Computation(Block block, ForwardContext context, Func<IDisposable?> parameters)
    {
        /// <summary>Gathers the block's parameters until the result is disposed.</summary>
        public IDisposable? Parameters() => parameters();

        /// <summary>Whether later blocks mix their values with this block's.</summary>
        public bool GivesValues { get; private set; }

        /// <summary>Whether an earlier block has given its values.</summary>
        public bool HasFirstValues { get; set; }

        /// <summary>The stream after the block, its terms of the loss and, where it gives them, its values.</summary>
        public List<Tensor> Run(DisposeScope scope, Tensor stream, Tensor? firstValues, Tensor? pictures, bool isAgain)
        {
            var own = context.ForRecomputation(firstValues, pictures, isAgain);
            List<Tensor> results = [block.call(stream, own)];
            results.AddRange(own.AuxiliaryLosses?.Take() ?? []);
            foreach (var term in results.Skip(1)) scope.Attach(term);
            GivesValues = firstValues is null && own.FirstValues is not null;
            if (GivesValues) results.Add(own.FirstValues!);
            return results;
        }

        public void Fail(Exception exception) => context.Recomputation?.Fail(exception);
    }
}
