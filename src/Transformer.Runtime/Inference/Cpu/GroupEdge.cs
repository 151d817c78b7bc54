namespace Transformer.Inference.Cpu;

// N tokens · S groups · s tokens of a group · C width

/// <summary>What the pooling and the upsampling of an hourglass have between them: a batch's tokens and the groups that they end.</summary>
/// <param name="Tokens">The stream of the tokens: [N, C].</param>
/// <param name="Groups">What the layers read of the groups and, behind them, what they have made of it: [S, C].</param>
/// <param name="Shorten">s; 0 for groups that differ in length.</param>
/// <param name="Ends">Of each group that the batch completes, the last token: [S].</param>
/// <param name="Received">Of each token the last group that is complete, -1 where an earlier batch has completed it: [N].</param>
internal sealed record GroupEdge(Activations Tokens, Activations Groups, int Shorten, int[] Ends, int[] Received);
