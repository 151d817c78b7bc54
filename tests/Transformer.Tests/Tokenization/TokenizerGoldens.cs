using System.Runtime.InteropServices;
using System.Text.Json;
using Transformer.Tokenization;

namespace Transformer.Tests.Tokenization;

/// <summary>The reference files that the tokenizer tests share.</summary>
internal static class TokenizerGoldens
{
    public static BpeTokenizer Gpt2 { get; } = BpeTokenizer.FromFiles(PathOf("gpt2", "vocab.json"), PathOf("gpt2", "merges.txt"));

    /// <summary>GPT-2's without the name of its end of text, as OpenAI's encoder has it.</summary>
    public static BpeTokenizer Gpt2Ordinary { get; } = new(
        JsonSerializer.Deserialize<Dictionary<string, int>>(File.ReadAllBytes(PathOf("gpt2", "vocab.json")))!,
        [.. File.ReadLines(PathOf("gpt2", "merges.txt")).Select(line => (line.Split(' ')[0], line.Split(' ')[1]))]);

    public static LlamaTokenizer Stories { get; } = LlamaTokenizer.FromLlama2C(PathOf("stories260k", "tok512.bin"));

    public static string Corpus { get; } = File.ReadAllText(PathOf("tokenizers", "bpe_training", "corpus.en"));

    public static string PathOf(params string[] parts) => Path.Combine([AppContext.BaseDirectory, "Goldens", .. parts]);

    /// <summary>The token ids of the corpus: the file's only tensor, so its data is all that follows the header.</summary>
    public static long[] CorpusIds()
    {
        var file = File.ReadAllBytes(PathOf("tokenizers", "gpt2_corpus_ids.safetensors"));
        return MemoryMarshal.Cast<byte, long>(file.AsSpan(8 + (int)BitConverter.ToInt64(file))).ToArray();
    }

    public static IReadOnlyList<Gpt2Case> Cases { get; } = ReadCases();

    internal sealed record Gpt2Case(string Name, string Text, string[] Pieces, int[] Ids);

    private static Gpt2Case[] ReadCases()
    {
        using var json = JsonDocument.Parse(File.ReadAllBytes(PathOf("tokenizers", "gpt2_cases.json")));
        return [.. json.RootElement.GetProperty("cases").EnumerateArray().Select(element => new Gpt2Case(
            element.GetProperty("name").GetString()!,
            element.GetProperty("text").GetString()!,
            [.. element.GetProperty("pieces").EnumerateArray().Select(piece => piece.GetString()!)],
            [.. element.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())]))];
    }
}
