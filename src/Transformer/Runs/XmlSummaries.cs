using System.Reflection;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Transformer.Runs;

/// <summary>The summaries of assemblies' XML documentation as plain text.</summary>
internal sealed partial class XmlSummaries
{
    private readonly Dictionary<string, string> summaries;

    private XmlSummaries(Dictionary<string, string> summaries) => this.summaries = summaries;

    /// <summary>Reads the files beside the assemblies; where there is none, no member has a summary.</summary>
    public static XmlSummaries Load(params IEnumerable<Assembly> assemblies) => new(assemblies.Distinct()
        .Select(assembly => Path.ChangeExtension(assembly.Location, ".xml"))
        .Where(File.Exists)
        .SelectMany(path => XDocument.Load(path).Descendants("member"))
        .Where(member => member.Element("summary") is not null)
        .DistinctBy(member => member.Attribute("name")!.Value)    // what generators write, each assembly has
        .ToDictionary(member => member.Attribute("name")!.Value, member => Text(member.Element("summary")!)));

    /// <summary>The summary of a type or a property, or null.</summary>
    public string? Of(MemberInfo member) =>
        summaries.GetValueOrDefault(member is Type type ? $"T:{type.FullName}" : $"P:{member.DeclaringType!.FullName}.{member.Name}");

    private static string Text(XElement summary)
    {
        var words = summary.DescendantNodes().Select(node => node switch
        {
            XText text => text.Value,
            XElement { IsEmpty: true } reference => reference.FirstAttribute?.Value.Split('.', ':')[^1],
            _ => "",
        });
        return Spaces().Replace(string.Concat(words), " ").Trim();
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();
}
