using System.CommandLine;
using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Formats;
using Transformer.Tokenization;

namespace Transformer.Cli;

/// <summary><c>import</c>: makes a checkpoint of a model that another tool wrote.</summary>
internal static class ImportVerb
{
    private const string KnownTokenizers =
        "a tokenizer.json, a folder with it or with vocab.json and merges.txt, or llama2.c's tokenizer .bin";

    private static readonly Argument<string> Source = new("SOURCE")
    {
        Description = "A Hugging Face folder of a GPT-2 or Llama, a .safetensors file with config.json beside it, " +
            "a .bin file of llama2.c, or a .gguf file.",
    };

    private static readonly Option<string> Out = new("--out")
    {
        Description = "The new checkpoint's folder.",
        HelpName = "DIR",
        Required = true
    };

    private static readonly Option<string?> TokenizerPath = new("--tokenizer")
    {
        Description = $"{KnownTokenizers}; default: searched beside the source.",
        HelpName = "FILE",
    };

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var verb = new Command("import", "Makes a checkpoint of a model that another tool wrote.") { Source, Out, TokenizerPath };
        verb.SetAction(Run);
        return verb;
    }

    private static void Run(ParseResult request)
    {
        var (source, folder) = (request.GetRequiredValue(Source), request.GetRequiredValue(Out));
        var error = request.InvocationConfiguration.Error;
        if (File.Exists(folder) || (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any()))
            throw new InputException($"{folder}: already exists, expected a new or an empty folder. Choose another --out.");

        using var imported = ModelImport.Import(source);
        var beside = Directory.Exists(source) ? source : Path.GetDirectoryName(Path.GetFullPath(source))!;
        var tokenizer = request.GetValue(TokenizerPath) is { } given
            ? Find(given, beside) ?? throw new InputException($"{given}: holds no tokenizer, expected {KnownTokenizers}.")
            : imported.Tokenizer ?? Find(beside, beside);
        if (tokenizer?.VocabularySize > imported.Model.VocabularySize)
            throw new InputException(
                $"the tokenizer has {tokenizer.VocabularySize} tokens, the model only {imported.Model.VocabularySize}. " +
                "Give the model's own with --tokenizer FILE.");

        CheckpointFolder.Save(folder, imported.Model, imported.Tensors.Values, tokenizer, chatTemplate: imported.ChatTemplate);
        error.WriteLine($"{folder}: {Numbers.Count(imported.Tensors.Values.Sum(tensor => tensor.Count))} parameters of {imported.Origin}");
        if (tokenizer is null)
            error.WriteLine(
                "There is no tokenizer beside the source, so text cannot be encoded. Import again with --tokenizer FILE to add it.");
    }

    private static Tokenizer? Find(string path, string model) =>
        File.Exists(path) ? Path.GetExtension(path) == ".bin" ? LlamaTokenizer.FromLlama2C(path) : TokenizerFolder.Read(path, model)
        : TokenizerFolder.Holds(path) ? TokenizerFolder.Read(path, model)
        : null;
}
