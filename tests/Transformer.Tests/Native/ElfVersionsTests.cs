using System.Buffers.Binary;
using Transformer.Native;

namespace Transformer.Tests.Native;

public sealed class ElfVersionsTests
{
    private const string Version = "GLIBCXX_3.4.32";

    [Fact]
    public void Making_a_version_weak_changes_its_flags_and_nothing_else()
    {
        var (before, after) = (Binding(), Binding());
        ElfVersions.MakeWeak(after, Version);
        var flags = Assert.Single(Enumerable.Range(0, before.Length), i => before[i] != after[i]);
        Assert.Equal((0, 2), (before[flags], after[flags]));

        // The flags are the third field of an entry whose first is the System V hash of the version's name.
        Assert.Equal(Hash(Version), BinaryPrimitives.ReadUInt32LittleEndian(before.AsSpan(flags - 4)));
    }

    [Fact]
    public void Making_it_weak_twice_is_making_it_weak_once()
    {
        var once = Binding();
        ElfVersions.MakeWeak(once, Version);
        var twice = once.ToArray();
        ElfVersions.MakeWeak(twice, Version);
        Assert.Equal(once, twice);
    }

    [Theory]
    [InlineData("GLIBCXX_3.4.3")]
    [InlineData("NOSUCH_1.0")]
    public void Versions_that_the_library_does_not_ask_for_change_nothing(string version)
    {
        var image = Binding();
        ElfVersions.MakeWeak(image, version);
        Assert.Equal(Binding(), image);
    }

    private static byte[] Binding()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "only Linux has ELF libraries");
        var folders = ((string?)AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") ?? "").Split(Path.PathSeparator)
            .Append(AppContext.BaseDirectory)
            .Append(Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native"));
        return File.ReadAllBytes(folders.Select(folder => Path.Combine(folder, "libLibTorchSharp.so")).First(File.Exists));
    }

    private static uint Hash(string name) => name.Aggregate(0u, (hash, character) =>
    {
        hash = (hash << 4) + character;
        var high = hash & 0xf0000000;
        return (hash ^ (high >> 24)) & ~high;
    });
}
