namespace Transformer.Inference.Cpu;

/// <summary>Work in pieces that a <see cref="ThreadTeam"/> shares out.</summary>
internal interface IParallelKernel
{
    /// <summary>Does one piece.</summary>
    /// <param name="piece">Which piece, 0 being the first.</param>
    /// <param name="thread">Which thread of the team does it, so that it can have a place of its own for what lies between.</param>
    void Do(int piece, int thread);
}
