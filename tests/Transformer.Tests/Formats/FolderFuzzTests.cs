using System.Text.Json.Nodes;
using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Inference.Torch;
using Transformer.Model;
using Transformer.Native;
using Transformer.Tests.Formats.Gguf;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Tests.Formats;

/// <summary>Model folders with a changed file: every value is checked against the others before it is used.</summary>
public sealed class FolderFuzzTests : IDisposable
{
    private const int Inputs = 400;

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("llama", "config.json")]
    [InlineData("llama", "tokenizer.json")]
    [InlineData("llama", "model.safetensors")]
    [InlineData("gpt2", "config.json")]
    [InlineData("checkpoint", "config.json")]
    [InlineData("checkpoint", "model.safetensors")]
    [InlineData("sharded", "model.safetensors.index.json")]
    public void Any_change_of_a_file_of_a_model_is_refused_or_read(string kind, string file)
    {
        Write(kind);
        var path = folder[file];
        var valid = File.ReadAllBytes(path);
        var header = file.EndsWith(".safetensors", StringComparison.Ordinal) ? 8 + (int)BitConverter.ToInt64(valid) : valid.Length;
        var (random, accepted) = (new Random(1337), 0);
        for (var input = 0; input < Inputs; input++)
        {
            byte[] bytes = input == 0 ? valid : [.. HeaderFuzzTests.Mutated(valid[..header], random), .. valid[header..]];
            if (input % 10 == 9) bytes = bytes[..random.Next(bytes.Length)];
            File.WriteAllBytes(path, bytes);
            try
            {
                if (kind == "checkpoint") LoadedModel.Open(folder.Path).Dispose();
                else
                {
                    using var imported = ModelImport.Import(folder.Path);
                    if (file == "tokenizer.json") LoadedModel.Of(imported, Tokenizer.Load(path)).Dispose();
                }
                accepted++;
            }
            catch (InputException) { }
        }
        Assert.InRange(accepted, 1, Inputs - 1);
    }

    // Built as declared, each of these models would exhaust memory or time before its first tensor is compared.
    [Theory]
    [InlineData("layers", 1_000_000_000)]
    [InlineData("layers", 100_000)]
    [InlineData("width", 1 << 17)]
    [InlineData("vocabulary_size", 1 << 28)]
    [InlineData("mlp.hidden", 1 << 30)]
    [InlineData("attention.heads", 1 << 30)]
    [InlineData("attention.head_width", 1 << 30)]
    [InlineData("context_length", 1 << 28)]
    public void A_checkpoint_that_claims_more_than_its_file_holds_is_refused_before_a_model_is_made(string key, int claim)
    {
        Write("checkpoint");
        var config = JsonNode.Parse(File.ReadAllText(folder["config.json"]))!;
        var at = config["transformer"]!;
        foreach (var part in key.Split('.')[..^1]) at = at[part]!;
        at[key.Split('.')[^1]] = claim;
        File.WriteAllText(folder["config.json"], config.ToJsonString());
        Assert.Throws<InputException>(Open);
        Assert.InRange(ProcessMemory.PeakOf(() => Assert.Throws<InputException>(Open)) ?? 0, 0, 100L << 20);

        void Open() => LoadedModel.Open(folder.Path).Dispose();
    }

    private void Write(string kind)
    {
        manual_seed(1337);
        using var model = new TransformerModel(GgufModelTests.Expressible[kind == "gpt2" ? "gpt2" : "llama"]);
        if (kind is "llama" or "gpt2")
            HuggingFaceFolder.Write(folder.Path, model.Config, model.Weights.ToStored(), GgufModelTests.Characters(13));
        else CheckpointFolder.Save(folder.Path, model.Config, model.Weights.ToStored(), GgufModelTests.Characters(13));
        if (kind != "sharded") return;
        File.Delete(folder["model.safetensors"]);
        var halves = model.Weights.Chunk(model.Weights.Count() / 2 + 1).ToArray();
        for (var number = 0; number < halves.Length; number++)
            WeightFiles.WriteShard(folder.Path, halves[number].ToStored(), number, halves.Length);
        WeightFiles.WriteIndex(folder.Path, [.. halves.Select(half => half.Select(weight => weight.Name))], 1000);
    }
}
