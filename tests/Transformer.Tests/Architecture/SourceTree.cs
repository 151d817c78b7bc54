using System.Runtime.CompilerServices;

namespace Transformer.Tests.Architecture;

/// <summary>The repository from which this assembly was built.</summary>
internal static class SourceTree
{
    public static string Root { get; } = FindRoot();

    /// <summary>The folder of a source project.</summary>
    public static string Project(string name) => Path.Combine(Root, "src", name);

    /// <summary>The C# files of a folder and those below it, without what the build writes.</summary>
    public static IEnumerable<string> FilesIn(string folder) => Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories)
        .Where(file => !Path.GetRelativePath(Root, file).Split(Path.DirectorySeparatorChar).Any(part => part is "bin" or "obj"));

    /// <summary>All C# files of the repository.</summary>
    public static IEnumerable<string> Files => FilesIn(Path.Combine(Root, "src")).Concat(FilesIn(Path.Combine(Root, "tests")));

    /// <summary>A file's path as messages show it.</summary>
    public static string Shown(string file) => Path.GetRelativePath(Root, file).Replace(Path.DirectorySeparatorChar, '/');

    private static string FindRoot([CallerFilePath] string here = "")
    {
        for (var folder = Path.GetDirectoryName(here); folder is not null; folder = Path.GetDirectoryName(folder))
            if (File.Exists(Path.Combine(folder, "Directory.Build.props"))) return folder;
        throw new InvalidOperationException($"no Directory.Build.props above {here}: run the tests on the machine that built them");
    }
}
