using System.IO.Hashing;
using System.Runtime.InteropServices;
using Transformer.Tokenization;

namespace Transformer.Data;

/// <summary>Counts and hashes the tokens that pass through.</summary>
internal sealed class TokenStatistics(Tokenizer tokenizer)
{
    private readonly XxHash128 hash = new();

    public long Tokens { get; private set; }

    /// <summary>The bytes of the tokens: with a tokenizer of the corpus, the bytes of its text.</summary>
    public long Bytes { get; private set; }

    /// <summary>xxHash-128 of the two parts' hashes, in hexadecimal: the same for the same tokens, in memory or on disk.</summary>
    public static string Checksum(TokenStatistics training, TokenStatistics validation) =>
        Convert.ToHexStringLower(XxHash128.Hash([.. training.hash.GetCurrentHash(), .. validation.hash.GetCurrentHash()]));

    public IEnumerable<int[]> Through(IEnumerable<int[]> pieces)
    {
        foreach (var ids in pieces)
        {
            Tokens += ids.Length;
            foreach (var id in ids) Bytes += tokenizer.BytesOf(id).Length;
            hash.Append(MemoryMarshal.AsBytes<int>(ids));
            yield return ids;
        }
    }
}
