namespace Transformer.Configuration;

// T tokens

/// <summary>What the mixer of one block costs beside its parameters.</summary>
/// <param name="MixingFlops">The operations of training that move information between positions, a token of a sequence of T.</param>
/// <param name="Activations">About how many numbers a token leaves for the backward pass.</param>
/// <param name="Workspace">
/// About how many numbers a token takes beside those while the layer is worked on, forward or backward, at most.
/// </param>
/// <param name="StateNumbers">How many numbers generation keeps after T tokens.</param>
public sealed record MixerCost(Func<long, double> MixingFlops, long Activations, long Workspace, Func<long, long> StateNumbers);
