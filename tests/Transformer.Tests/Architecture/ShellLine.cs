using System.Text;

namespace Transformer.Tests.Architecture;

/// <summary>The words of a command line, as far as the documentation's need it: quotes, comments, continued lines.</summary>
internal static class ShellLine
{
    private const string Command = "transformer", Built = "dotnet run";

    /// <summary>The arguments of each call of the command in a block, whatever starts it (mpirun, srun, dotnet run).</summary>
    public static IEnumerable<string[]> Calls(string block)
    {
        foreach (var line in block.Replace("\\\n", " ").Split('\n'))
        {
            var words = Words(line.Trim().StartsWith("$ ", StringComparison.Ordinal) ? line.Trim()[2..] : line);
            var isBuilt = line.TrimStart().StartsWith(Built, StringComparison.Ordinal);
            var at = words.IndexOf(isBuilt ? "--" : Command);
            if (at >= 0 && (isBuilt || IsStart(words[..at]))) yield return [.. words[(at + 1)..]];
        }
    }

    /// <summary>The words of a line up to a comment or to the end of its first command.</summary>
    public static List<string> Words(string line)
    {
        var words = new List<string>();
        var word = new StringBuilder();
        var (quote, inWord) = ('\0', false);
        foreach (var c in line)
        {
            if (quote != '\0' && c != quote) word.Append(c);
            else if (quote != '\0') quote = '\0';
            else if (c is '\'' or '"') (quote, inWord) = (c, true);
            else if (!inWord && c is '#' or '|' or '&' or ';' or '>') break;
            else if (char.IsWhiteSpace(c)) End();
            else
            {
                word.Append(c);
                inWord = true;
            }
        }
        End();
        return words;

        void End()
        {
            if (inWord) words.Add(word.ToString());
            word.Clear();
            inWord = false;
        }
    }

    // Variables of the environment, then nothing or what starts several processes.
    private static bool IsStart(List<string> before) =>
        before.SkipWhile(word => word.Contains('=', StringComparison.Ordinal)).FirstOrDefault() is null or "mpirun" or "srun";
}
