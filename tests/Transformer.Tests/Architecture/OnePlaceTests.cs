using System.Text.RegularExpressions;

namespace Transformer.Tests.Architecture;

/// <summary>What is done in one place only, so that it is done right everywhere.</summary>
public sealed partial class OnePlaceTests
{
    [Fact]
    public void Standard_streams_are_opened_by_one_class_each() => AssertOnlyIn(Streams(), "StandardWriter.cs", "StandardInput.cs");

    // Files of this process's own run, of the system, and assemblies are no input from outside.
    [Fact]
    public void Files_are_read_whole_within_a_bound_by_one_class_alone() => AssertOnlyIn(
        WholeReads(), "WholeFile.cs", "SystemFacts.cs", "Launch.cs", "ProcessMemory.cs", "RunEnvironment.cs",
        "AddedAssembly.cs", "LibTorch.cs", "EnergyCounter.cs", "CpuContention.cs");

    [Fact]
    public void What_is_written_beside_its_place_gets_its_name_from_one_class_alone() =>
        AssertOnlyIn(PartialNames(), "PartialPath.cs");

    // A hint without the name of the program, or with a fixed one, cannot be pasted everywhere.
    [Fact]
    public void Commands_in_messages_are_made_by_one_class_alone() => AssertOnlyIn(FixedCommands(), "ShellCommand.cs");

    private static void AssertOnlyIn(Regex what, params string[] files)
    {
        var elsewhere =
            from file in SourceTree.FilesIn(Path.Combine(SourceTree.Root, "src"))
            where !files.Contains(Path.GetFileName(file))
            from line in File.ReadLines(file).Index()
            where !line.Item.TrimStart().StartsWith("//", StringComparison.Ordinal) && what.IsMatch(line.Item)
            select $"{SourceTree.Shown(file)}:{line.Index + 1}: {line.Item.Trim()}";
        Assert.Empty(elsewhere);
    }

    [GeneratedRegex(@"(?<![\w.])(System\.)?Console\.")]
    private static partial Regex Streams();

    [GeneratedRegex(@"(?<![\w.])File\.(ReadAll\w+|ReadLines)\(")]
    private static partial Regex WholeReads();

    [GeneratedRegex(@"NewGuid|\.partial")]
    private static partial Regex PartialNames();

    [GeneratedRegex(@"""[^""]*\btransformer (" +
        "train|generate|import|export|data|config|evaluate|bench|recipes|reproduce|doctor|ablate|report|init|memory" + @")\b")]
    private static partial Regex FixedCommands();
}
