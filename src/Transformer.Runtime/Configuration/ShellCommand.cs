namespace Transformer.Configuration;

/// <summary>Commands in messages, as they can be pasted into a shell.</summary>
internal static class ShellCommand
{
    private const string Safe = "-_./=:,@%+";

    /// <summary>The command line with these words.</summary>
    public static string Of(params IEnumerable<string> words) => string.Join(' ', words.Select(Quoted).Prepend("transformer"));

    /// <summary>A word, in quotes where a shell would read it as anything else.</summary>
    public static string Quoted(string word) => word.Length > 0 && word.All(c => char.IsLetterOrDigit(c) || Safe.Contains(c)) ? word
        : $"'{word.Replace("'", "'\\''")}'";
}
