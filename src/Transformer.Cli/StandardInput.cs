namespace Transformer.Cli;

/// <summary>The end of standard input, by which a process learns that the one that started it is gone or wants it to stop.</summary>
internal static class StandardInput
{
    /// <summary>Cancels when standard input ends, and when the given token is cancelled.</summary>
    public static CancellationToken CancelAtEnd(CancellationToken cancellation)
    {
        // Never disposed: the thread below may outlive what was to be cancelled.
        var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        new Thread(() =>
        {
            using var input = Console.OpenStandardInput();
            while (input.ReadByte() >= 0) { }
            ended.Cancel();
        })
        { IsBackground = true, Name = nameof(StandardInput) }.Start();
        return ended.Token;
    }
}
