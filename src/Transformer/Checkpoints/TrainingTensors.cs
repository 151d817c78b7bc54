using System.Globalization;
using Transformer.Configuration;
using Transformer.Formats;
using static TorchSharp.torch;

namespace Transformer.Checkpoints;

/// <summary>
/// The tensors that a run resumes from: in <c>training.safetensors</c>, or in one <c>training-00001-of-00004.safetensors</c>
/// per rank. A name that ends with @ and a number is a part of a tensor, the number being the index of its first element; any
/// range can be read, whichever ranks wrote it.
/// </summary>
public sealed class TrainingTensors : IDisposable
{
    private const string Name = "training";
    private readonly string folder;
    private readonly SafetensorsFile[] files;
    private readonly ILookup<string, (long Begin, string Name, SafetensorsFile File)> parts;

    private TrainingTensors(string folder, SafetensorsFile[] files)
    {
        (this.folder, this.files) = (folder, files);
        parts = files.SelectMany(file => file.Names.Where(IsPart).Select(name => (Part(name).Whole, (Part(name).Begin, name, file))))
            .ToLookup(part => part.Whole, part => part.Item2);
    }

    /// <summary>How many ranks wrote them.</summary>
    public int Ranks => files.Length;

    /// <summary>Opens the files of a checkpoint.</summary>
    /// <exception cref="InputException">There are none, one is missing, or one is not valid.</exception>
    public static TrainingTensors Open(string folder)
    {
        var first = Directory.GetFiles(folder, $"{FileOf(0, 2)[..^"00002.safetensors".Length]}*.safetensors");
        var ranks = first.Length == 0 ? 1 : RanksOf(first[0]);
        if (first.Length > 1) throw new InputException($"{first[0]} and {first[1]}: files of two runs; expected those of one.");
        var files = new List<SafetensorsFile>();
        try
        {
            for (var rank = 0; rank < ranks; rank++) files.Add(SafetensorsFile.Open(Path.Combine(folder, FileOf(rank, ranks))));
            return new TrainingTensors(folder, [.. files]);
        }
        catch
        {
            foreach (var file in files) file.Dispose();
            throw;
        }
    }

    /// <summary>Writes the tensors of a rank into a checkpoint's folder.</summary>
    /// <exception cref="InputException">The file cannot be written.</exception>
    internal static void Write(string folder, IEnumerable<(string Name, Tensor Value)> tensors, int rank = 0, int ranks = 1) =>
        SafetensorsWriter.Write(Path.Combine(folder, FileOf(rank, ranks)), tensors.ToStored());

    /// <summary>How many ranks wrote a tensor of this name.</summary>
    public int RanksWith(string name) => files.Count(file => file.Contains(name));

    /// <summary>Copies a tensor of some rank out of its file.</summary>
    /// <exception cref="InputException">That rank has no such tensor.</exception>
    public Tensor Read(string name, int rank = 0) => files[rank].Read(name);

    /// <summary>Copies a tensor of one rank, or a range of one that several ranks wrote, into an existing one of the same size.</summary>
    /// <exception cref="InputException">It does not exist, or it has another size.</exception>
    public void ReadInto(string name, Tensor destination, int rank = 0)
    {
        if (!IsPart(name))
        {
            files[rank].ReadInto(name, destination);
            return;
        }
        using var scope = NewDisposeScope();
        var (whole, begin) = Part(name);
        var (wanted, found) = (destination.numel(), 0L);
        long? end = null;
        foreach (var (first, part, file) in parts[whole].OrderBy(part => part.Begin))
        {
            if (file.Shape(part) is not [var count])
                throw new InputException($"{folder}: {part} is [{string.Join(", ", file.Shape(part))}], expected numbers in a row");
            if (end is { } last && first != last)
                throw new InputException($"{folder}: {part} begins where no part ends; expected {last}, where the one before it does");
            end = first + count;
            var (from, to) = (Math.Max(begin, first), Math.Min(begin + wanted, first + count));
            if (from >= to) continue;
            destination.narrow(0, from - begin, to - from).copy_(file.Read(part).narrow(0, from - first, to - from));
            found += to - from;
        }
        if (found != wanted)
            throw new InputException($"{folder}: has {found} of the {wanted} numbers of {whole} from {begin} on. " +
                "It was saved by another version, or of another model.");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var file in files) file.Dispose();
    }

    private static string FileOf(int rank, int ranks) =>
        ranks == 1 ? $"{Name}.safetensors" : $"{Name}-{rank + 1:d5}-of-{ranks:d5}.safetensors";

    private static int RanksOf(string first) =>
        int.TryParse(Path.GetFileNameWithoutExtension(first)[^5..], NumberStyles.None, CultureInfo.InvariantCulture, out var ranks)
            && ranks > 1 && Path.GetFileName(first) == FileOf(0, ranks)
            ? ranks
            : throw new InputException($"{first}: no file of a checkpoint; expected a name such as {FileOf(0, 4)}.");

    private static bool IsPart(string name) => name.Contains('@', StringComparison.Ordinal);

    private static (string Whole, long Begin) Part(string name)
    {
        var at = name.LastIndexOf('@');
        return (name[..at], long.TryParse(
            name[(at + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var begin) ? begin : long.MaxValue);
    }
}
