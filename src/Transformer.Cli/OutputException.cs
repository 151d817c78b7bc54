namespace Transformer.Cli;

/// <summary>The results of a command cannot be written.</summary>
internal sealed class OutputException(string reason, bool isClosedPipe) : IOException($"standard output: cannot be written ({reason})")
{
    /// <summary>Whether the reader has gone, as head does when it has enough; that is no error.</summary>
    public bool IsClosedPipe => isClosedPipe;
}
