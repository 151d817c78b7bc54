using System.Text.RegularExpressions;

namespace Transformer.Configuration;

/// <summary>Commands in messages, as they can be pasted into a shell.</summary>
internal static partial class ShellCommand
{
    /// <summary>How the command line was started; another program names the tool.</summary>
    public static string Program { get; set; } = "transformer";

    /// <summary>A command of this command line.</summary>
    /// <param name="words">What follows the program's name; a word that a shell would take apart is quoted.</param>
    public static string Of(params IEnumerable<string> words) => string.Join(' ', words.Select(Quoted).Prepend(Program));

    /// <summary>How this process was started.</summary>
    /// <param name="process">The path of the process's program.</param>
    /// <param name="assembly">The path of the command line's assembly, which <c>dotnet</c> takes.</param>
    /// <param name="searched">The folders in which the shell looks for programs.</param>
    /// <param name="folder">The working folder.</param>
    public static string Invocation(string process, string assembly, IEnumerable<string> searched, string folder)
    {
        if (Path.GetFileNameWithoutExtension(process) == "dotnet") return $"dotnet {Quoted(Shorter(assembly, folder))}";
        var name = Path.GetFileName(process);
        var isFound = searched.Any(place => place.Length > 0 && Path.GetFullPath(Path.Combine(place, name), folder) == process);
        return isFound ? Path.GetFileNameWithoutExtension(name) : Quoted(Runnable(process, folder));
    }

    // A shell looks for a name without a slash elsewhere.
    private static string Runnable(string process, string folder) =>
        Shorter(process, folder) is var path && path.Contains(Path.DirectorySeparatorChar) ? path : Path.Combine(".", path);

    private static string Shorter(string path, string folder) =>
        Path.GetRelativePath(folder, path) is var relative && relative.Length < path.Length ? relative : path;

    /// <summary>A word, in quotes where a shell would take it apart.</summary>
    public static string Quoted(string word) =>
        Plain().IsMatch(word) ? word
        : OperatingSystem.IsWindows() ? $"\"{word}\""
        : $"'{word.Replace("'", @"'\''", StringComparison.Ordinal)}'";

    [GeneratedRegex(@"^[A-Za-z0-9_@%+=:,./-]+\z")]
    private static partial Regex Plain();
}
