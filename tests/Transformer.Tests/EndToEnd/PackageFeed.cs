using System.Diagnostics;

namespace Transformer.Tests.EndToEnd;

/// <summary>The library's packages in a folder, and builds of projects that know nothing else of it.</summary>
internal sealed class PackageFeed : IDisposable
{
    private readonly TemporaryFolder folder = new();

    /// <summary>A path within the feed's own folder.</summary>
    public string this[string name] => folder[name];

    public string Folder => folder.Path;

    /// <summary>Packs a project, from what the build of these tests left, so that no file of another test is written again.</summary>
    /// <returns>The package.</returns>
    public string Pack(string project)
    {
        var configuration = Path.GetFileName(Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory))!);
        var (code, log) = Run(
            "dotnet", Architecture.SourceTree.Root, "pack", Path.Combine("src", project), "-c", configuration, "--no-build", "-o",
            folder["feed"], "-p:GenerateDocumentationFile=false");
        Assert.True(code == 0, log);
        return Directory.GetFiles(folder["feed"], $"{project}.?.*.nupkg").Single();
    }

    /// <summary>Adds a file to the project that <see cref="Make"/> copies.</summary>
    public void Add(string file, string text)
    {
        Directory.CreateDirectory(folder["source"]);
        File.WriteAllText(Path.Combine(folder["source"], file), text);
    }

    /// <summary>
    /// Builds or publishes a copy of a project of the tests. Skips the test where packages that are not the library's own cannot be
    /// restored.
    /// </summary>
    /// <param name="verb"><c>build</c> or <c>publish</c>.</param>
    /// <param name="project">The project's folder in <c>tests</c>.</param>
    /// <param name="to">The folder of this feed that the result goes to.</param>
    public void Make(string verb, string project, string to)
    {
        Directory.CreateDirectory(folder["source"]);
        foreach (var file in Directory.GetFiles(Path.Combine(Architecture.SourceTree.Root, "tests", project)))
            File.Copy(file, Path.Combine(folder["source"], Path.GetFileName(file)));
        // A package cache of its own: another version of a package under the same number must neither be taken nor be left behind.
        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        var cache = Environment.GetEnvironmentVariable("NUGET_PACKAGES") ?? Path.Combine(home, ".nuget", "packages");
        var (code, log) = Run(
            "dotnet", folder["source"], verb, "-c", "Release", "-o", folder[to], $"-p:RestoreAdditionalProjectSources={folder["feed"]}",
            $"-p:RestorePackagesPath={folder["packages"]}", $"-p:RestoreFallbackFolders={cache}");
        var unrestored = log.Split('\n').FirstOrDefault(
            line => line.Contains("error NU", StringComparison.Ordinal) && !line.Contains(" Transformer", StringComparison.Ordinal));
        if (code != 0 && unrestored is not null) Assert.Skip($"what {project} needs cannot be restored here: {unrestored.Trim()}");
        Assert.True(code == 0, log);
    }

    public void Dispose() => folder.Dispose();

    private static (int Code, string Log) Run(string program, string folder, params string[] arguments)
    {
        // No server of the build stays behind: it would hold the pipes open.
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            Environment = { ["DOTNET_CLI_UI_LANGUAGE"] = "en", ["MSBUILDDISABLENODEREUSE"] = "1", ["UseSharedCompilation"] = "false" },
        };
        using var process = Process.Start(start)!;
        var log = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, log);
    }
}
