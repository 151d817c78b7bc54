using System.Reflection;
using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Data;

/// <summary>A text that can be read as often as needed: a UTF-8 file or a corpus that comes with the library.</summary>
public sealed class TextSource
{
    private const string ResourceFolder = "corpora/", Extension = ".txt";
    private readonly Func<Stream> open;

    private TextSource(string name, long byteLength, Func<Stream> open) => (Name, ByteLength, this.open) = (name, byteLength, open);

    /// <summary>The path, or <c>builtin:NAME</c>.</summary>
    public string Name { get; }

    /// <summary>Whether it comes with the library.</summary>
    public bool IsBuiltIn => Name.StartsWith(DataConfig.BuiltInPrefix, StringComparison.Ordinal);

    /// <summary>The length in bytes.</summary>
    public long ByteLength { get; }

    /// <summary>The names of the corpora that come with the library.</summary>
    public static IReadOnlyList<string> BuiltIn { get; } =
        [.. Assembly.GetManifestResourceNames()
            .Where(name => name.StartsWith(ResourceFolder, StringComparison.Ordinal))
            .Select(name => name[ResourceFolder.Length..^Extension.Length])
            .Order()];

    private static Assembly Assembly => typeof(TextSource).Assembly;

    /// <summary>Finds a text.</summary>
    /// <param name="path">A file, or <c>builtin:NAME</c>.</param>
    /// <exception cref="InputException">There is no such text, it is a folder, or it is empty.</exception>
    public static TextSource At(string path)
    {
        if (path.StartsWith(DataConfig.BuiltInPrefix, StringComparison.Ordinal))
            return BuiltInCorpus(path[DataConfig.BuiltInPrefix.Length..]);
        if (Directory.Exists(path))
            throw new InputException($"{path}: found a folder, expected a text file; a folder of prepared token files has a corpus.json");
        var file = new FileInfo(path);
        if (!file.Exists) throw new InputException($"{path}: no such file. Name a UTF-8 text file or a built-in corpus: {AllBuiltIn()}");
        if (file.Length == 0) throw new InputException($"{path}: the file is empty; expected UTF-8 text");
        return new(path, file.Length, () => File.OpenRead(path));
    }

    /// <summary>Opens the text from its start. The reader throws <see cref="InputException"/> at a byte that is not UTF-8.</summary>
    /// <exception cref="InputException">The file cannot be opened.</exception>
    public TextReader Open()
    {
        try
        {
            return new Utf8TextReader(open(), Name);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{Name}: cannot be read ({e.Message})", e);
        }
    }

    /// <summary>The whole text.</summary>
    /// <exception cref="InputException">The file cannot be read or is not UTF-8.</exception>
    public string ReadAll()
    {
        using var reader = Open();
        return reader.ReadToEnd();
    }

    private static TextSource BuiltInCorpus(string name)
    {
        if (!BuiltIn.Contains(name))
        {
            var nearest = BuiltIn.MinBy(other => Spelling.Distance(name, other));
            throw new InputException(
                $"{DataConfig.BuiltInPrefix}{name}: no such corpus; did you mean {DataConfig.BuiltInPrefix}{nearest}? " +
                $"There are {AllBuiltIn()}");
        }
        Stream Resource() => Assembly.GetManifestResourceStream(ResourceFolder + name + Extension)!;
        using var resource = Resource();
        return new(DataConfig.BuiltInPrefix + name, resource.Length, Resource);
    }

    private static string AllBuiltIn() => string.Join(", ", BuiltIn.Select(name => DataConfig.BuiltInPrefix + name));
}
