namespace Transformer.Inference.Cpu;

/// <summary>Work in pieces that a <see cref="ThreadTeam"/> distributes over its threads.</summary>
internal interface IParallelKernel
{
    /// <summary>Does one piece.</summary>
    /// <param name="piece">Which piece, 0 being the first.</param>
    /// <param name="thread">Which thread of the team does it, for scratch memory of its own.</param>
    void Do(int piece, int thread);
}
