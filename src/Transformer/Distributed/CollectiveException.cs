namespace Transformer.Distributed;

/// <summary>Something failed on one rank, and all ranks know it, so that each can end. Only one rank has the message.</summary>
public sealed class CollectiveException : Exception
{
    /// <summary>On the rank that reports the failure.</summary>
    /// <param name="message">What failed.</param>
    /// <param name="cause">The failure.</param>
    public CollectiveException(string message, Exception cause) : base(message, cause) { }

    /// <summary>On the others.</summary>
    public CollectiveException() : base("") { }
}
