namespace Transformer.Training;

/// <summary>The loss or its gradient became infinite or not a number; the step was not taken.</summary>
/// <param name="message">The step, the batch's position and the last good checkpoint.</param>
public sealed class NonFiniteLossException(string message) : Exception(message);
