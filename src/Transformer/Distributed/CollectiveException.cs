namespace Transformer.Distributed;

/// <summary>Something failed on one rank, and all of them know: each can take its leave. One rank alone has the message.</summary>
public sealed class CollectiveException : Exception
{
    /// <summary>On the rank that tells what failed.</summary>
    /// <param name="message">What.</param>
    /// <param name="cause">The failure.</param>
    public CollectiveException(string message, Exception cause) : base(message, cause) { }

    /// <summary>On the others.</summary>
    public CollectiveException() : base("") { }
}
