using System.Text.RegularExpressions;
using Transformer.Model;

namespace Transformer.Tests.Architecture;

public sealed partial class NamingTests
{
    [Fact]
    public void No_type_is_called_after_what_it_is_not()
    {
        var names = typeof(TransformerModel).Assembly.GetTypes()
            .Where(type => type.Namespace?.StartsWith("Transformer", StringComparison.Ordinal) == true).Select(type => type.Name);
        Assert.DoesNotContain(names, name => EmptyWord().IsMatch(name));
    }

    [Fact]
    public void Namespaces_are_folders()
    {
        var wrong =
            from file in SourceTree.FilesIn(SourceTree.Library)
            let expected = Path.GetRelativePath(Path.Combine(SourceTree.Root, "src"), Path.GetDirectoryName(file)!)
                .Replace(Path.DirectorySeparatorChar, '.')
            let found = File.ReadLines(file).FirstOrDefault(line => line.StartsWith("namespace ", StringComparison.Ordinal))
            where found is not null && found != $"namespace {expected};"
            select $"{Path.GetRelativePath(SourceTree.Root, file)}: {found}, expected {expected}";
        Assert.Empty(wrong);
    }

    [GeneratedRegex("(Manager|Helper|Helpers|Util|Utils|Utility|Utilities)$")]
    private static partial Regex EmptyWord();
}
