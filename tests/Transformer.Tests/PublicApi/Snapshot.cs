using Transformer.Tests.Architecture;

namespace Transformer.Tests.PublicApi;

/// <summary>Text that others rely on, kept in a file so that a change of it is seen and meant.</summary>
internal static class Snapshot
{
    /// <summary>The variable of the environment that makes what is found the new snapshot.</summary>
    public const string Accept = "ACCEPT_SNAPSHOTS";

    /// <summary>Whether it is set.</summary>
    public static bool Accepted => Environment.GetEnvironmentVariable(Accept) is not null;

    /// <summary>Compares text with a file of this folder, or writes it there where ACCEPT_SNAPSHOTS is set.</summary>
    public static void Matches(string file, string actual)
    {
        actual = actual.ReplaceLineEndings("\n").TrimEnd() + "\n";
        if (Accepted)
        {
            File.WriteAllText(Path.Combine(SourceTree.Root, "tests", "Transformer.Tests", "PublicApi", file), actual);
            return;
        }
        var path = Path.Combine(AppContext.BaseDirectory, "PublicApi", file);
        var expected = File.Exists(path) ? File.ReadAllText(path).ReplaceLineEndings("\n") : "";
        if (expected == actual) return;
        var (before, after) = (expected.Split('\n'), actual.Split('\n'));
        var changes = before.Except(after).Select(line => $"- {line}").Concat(after.Except(before).Select(line => $"+ {line}")).Take(40);
        Assert.Fail($"{file} is no longer what others rely on. If that is meant, run this test once with {Accept}=1 and commit the " +
            $"file.\n{string.Join('\n', changes)}");
    }
}
