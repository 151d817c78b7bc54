using System.Reflection;
using System.Text.RegularExpressions;
using Transformer.Configuration;
using Transformer.Model;
using Transformer.Onnx;

namespace Transformer.Tests.Architecture;

public sealed partial class NamingTests
{
    private static readonly Assembly[] Libraries = [
        typeof(ModelConfig).Assembly, typeof(TransformerModel).Assembly, typeof(OnnxFolder).Assembly];

    // What the field has a word for: each of these was replaced by it, in code, docs and messages.
    private static readonly string[] Replaced =
    [
        "TensorRanks", "TensorShare", "TensorSplit", "TensorGradients", "TensorCheckpoint", "ClampShares", "Apart", "AgreedException",
        "Doing",
        "Rendezvous", "Agreement", "Withdraw", "Ahead", "Stretches", "BlockPass", "EachToken", "ITeamWork", "AttentionWork",
        "LinearWork",
        "MixerStep", "SoftmaxStep", "LinearStep", "ConvolutionStep", "MlpStep", "GatedMlpStep", "PlainMlpStep", "MixtureStep", "NormStep",
        "ResidualStep",
        "SandwichStep", "PostNormStep", "ReZeroStep", "HyperConnectionsStep", "CanForget", "Reusable", "Guess", "Guesses", "LargestButFew",
        "Usual",
        "Likeliest", "ForProduct", "ForProducts", "Widened", "SentTo", "Fetch", "Cover", "Covers", "CheckpointMark", "ModelFit",
        "ForeignText",
        "TokenMeasure", "FirstCharacters", "DecodeEngine", "DecodeState", "DecoderBlock", "DecoderPlan", "DecoderWeights", "ModelState",
        "OnnxState",
        "EngineLogits", "ModelLogits", "OnnxLogits", "NextLogits", "ParameterShapes", "Experiments",
    ];

    [Fact]
    public void No_type_is_called_after_what_it_is_not()
    {
        var names = Libraries.SelectMany(library => library.GetTypes())
            .Where(type => type.Namespace?.StartsWith("Transformer", StringComparison.Ordinal) == true).Select(type => type.Name);
        Assert.DoesNotContain(names, name => EmptyWord().IsMatch(name));
    }

    [Theory]
    [InlineData("Transformer.Runtime", "Transformer")]
    [InlineData("Transformer", "Transformer")]
    [InlineData("Transformer.Onnx", "Transformer.Onnx")]
    [InlineData("Transformer.Cli", "Transformer.Cli")]
    public void Namespaces_are_folders(string project, string root)
    {
        var wrong =
            from file in SourceTree.FilesIn(SourceTree.Project(project))
            let folder = Path.GetRelativePath(SourceTree.Project(project), Path.GetDirectoryName(file)!)
            let expected = folder == "." ? root : $"{root}.{folder.Replace(Path.DirectorySeparatorChar, '.')}"
            let found = File.ReadLines(file).FirstOrDefault(line => line.StartsWith("namespace ", StringComparison.Ordinal))
            where found is not null && found != $"namespace {expected};"
            select $"{SourceTree.Shown(file)}: {found}, expected {expected}";
        Assert.Empty(wrong);
    }

    [Fact]
    public void Words_that_were_replaced_by_the_field_s_are_gone()
    {
        var here = Path.Combine("Architecture", "NamingTests.cs");
        var pages = Directory.EnumerateFiles(Path.Combine(SourceTree.Root, "docs"), "*.md", SearchOption.AllDirectories)
            .Append(Path.Combine(SourceTree.Root, "README.md"));
        var old = new Regex($@"\b(?:{string.Join('|', Replaced)})\b");
        var wrong =
            from file in SourceTree.Files.Where(file => !file.EndsWith(here, StringComparison.Ordinal)).Concat(pages)
            from line in File.ReadLines(file).Index()
            where old.IsMatch(line.Item)
            select $"{SourceTree.Shown(file)}:{line.Index + 1}: {old.Match(line.Item)}";
        Assert.Empty(wrong);
    }

    [GeneratedRegex("(Manager|Helper|Helpers|Util|Utils|Utility|Utilities)$")]
    private static partial Regex EmptyWord();
}
