namespace Transformer.Configuration;

/// <summary>
/// What the user gave is wrong: a configuration, an argument or a file. The message says what was found, where, what was
/// expected and what to do. The command line prints it without a stack trace and ends with exit code 2.
/// </summary>
public sealed class InputException : Exception
{
    /// <param name="message">One or two lines; further lines may list further findings.</param>
    public InputException(string message) : base(message) { }

    /// <param name="message">One or two lines; further lines may list further findings.</param>
    /// <param name="inner">What the system reported.</param>
    public InputException(string message, Exception inner) : base(message, inner) { }
}
