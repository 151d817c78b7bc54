using System.IO.Hashing;
using System.Text;
using Transformer.Configuration;
using Transformer.Data.Images;
using Transformer.Files;
using Transformer.Runs;
using Transformer.Tokenization;

namespace Transformer.Data;

// B rows · T tokens

/// <summary>
/// Rows of a text with pictures and an answer, of which only the answer is predicted. Rows are drawn in a new order in each epoch; those of
/// a batch may have none, one or several pictures each.
/// </summary>
public sealed class ImageTextDataset : Dataset
{
    private readonly IReadOnlyList<Encoded> training, validation;

    private ImageTextDataset(
        string path, Tokenizer tokenizer, IReadOnlyList<Encoded> training, IReadOnlyList<Encoded> validation, string checksum) =>
        (Name, Tokenizer, this.training, this.validation, Checksum) = (path, tokenizer, training, validation, checksum);

    /// <inheritdoc/>
    public override string Name { get; }

    /// <inheritdoc/>
    public override Tokenizer Tokenizer { get; }

    /// <summary>xxHash-128 of the rows and of the sizes of their pictures' files, in hexadecimal.</summary>
    public override string Checksum { get; }

    /// <inheritdoc/>
    public override bool HasPictures => training.Concat(validation).Any(row => row.Images.Count > 0);

    /// <summary>Opens the rows of a configuration.</summary>
    /// <exception cref="InputException">A file is missing, or a line is wrong; the message says which.</exception>
    public static new ImageTextDataset Open(DataConfig config)
    {
        var rows = Read(config.Path!);
        var held = config.ValidationPath is { } other ? Read(other) : [];
        if (config.ValidationPath is null)
        {
            var count = Math.Max(1, (int)Math.Round(rows.Count * config.ValidationFraction!.Value));
            if (count >= rows.Count)
                throw new InputException($"{config.Path}: holds {rows.Count} rows, of which {count} are held out for validation; " +
                    "expected more rows, a smaller data.validation_fraction, or data.validation_path.");
            (rows, held) = (rows[..^count], rows[^count..]);
        }
        var text = string.Join('\n', rows.Concat(held).Select(row => string.Concat(row.Parts) + row.Separated)) + "\n";
        var tokenizer = Tokenizer.FromConfig(config.Tokenizer!, () => new StringReader(text));
        var hash = new XxHash128();
        foreach (var row in rows.Concat(held))
        {
            hash.Append(Encoding.UTF8.GetBytes($"{row.Text}\0{row.Answer}\0"));
            foreach (var image in row.Images) hash.Append(BitConverter.GetBytes(new FileInfo(image).Length));
        }
        return new(
            config.Path!, tokenizer,
            [.. rows.Select(row => Encoded.Of(row, tokenizer))], [.. held.Select(row => Encoded.Of(row, tokenizer))],
            Convert.ToHexStringLower(hash.GetCurrentHash()));
    }

    private static List<ImageTextRow> Read(string path)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        var rows = Utf8File.Read(path, "rows").Split('\n').Select((line, index) => (Line: line.TrimEnd('\r'), Number: index + 1))
            .Where(line => line.Line.Length > 0)
            .Select(line => ImageTextRow.Parse(line.Line, $"{path}:{line.Number}", folder)).ToList();
        return rows.Count > 0 ? rows : throw new InputException($"{path}: holds no rows, expected an object a line.");
    }

    /// <inheritdoc/>
    public override void RequireContext(int contextLength, int segments = 1, int placesOfPicture = 1)
    {
        foreach (var (number, row) in training.Concat(validation).Index())
        {
            var tokens = row.Inputs.Length + (placesOfPicture - 1) * row.Images.Count;
            if (tokens > contextLength)
                throw new InputException(
                    $"{Name}: row {number + 1} has {tokens} tokens, those of its pictures included, but model.context_length is " +
                    $"{contextLength}; raise it, or shorten the row.");
        }
    }

    /// <inheritdoc/>
    public override TrainingBatches Train(RunConfig run, long position = 0)
    {
        var rows = new Rows(this, run.Model.Vision?.Image, run.Training.BatchSize, run.Training.Seed, position);
        return run.Model.Vision is null ? rows : new PictureBatches(rows, run.Model);
    }

    /// <inheritdoc/>
    public override IEnumerable<Batch> HeldOut(int batchSize, int contextLength, int? batches = null) =>
        HeldOut(image: null, batchSize, batches);

    /// <inheritdoc/>
    public override IEnumerable<Batch> HeldOut(ModelConfig model, int batchSize, int? batches = null) =>
        HeldOut(model.Vision?.Image, batchSize, batches).Select(batch => model.Vision is { } vision ? batch.ReadBy(vision) : batch);

    private IEnumerable<Batch> HeldOut(ImageConfig? image, int batchSize, int? batches) =>
        validation.Chunk(batchSize).Take(batches ?? int.MaxValue).Select(rows => Padded(rows, image));

    /// <summary>The first validation row, with as many tokens as its answer has.</summary>
    public override SamplePrompt SamplePrompt()
    {
        var row = validation[0];
        var answer = row.Targets.Count(target => target != Batch.IgnoredTarget);
        return new([.. row.Inputs.Take(row.Inputs.Length - answer + 1).Select(id => (int)id)], answer)
        {
            Pictures = [.. row.Images.Select(PictureFile.Read)],
            PictureNames = [.. row.Images.Select(image => Path.GetFileName(image)!)],
        };
    }

    // Rows of unequal length are padded on the right, without targets. Each picture becomes a model's square before the next is read, so
    // that photographs take the memory of one.
    private static Batch Padded(IReadOnlyList<Encoded> rows, ImageConfig? image)
    {
        var columns = rows.Max(row => row.Inputs.Length);
        var batch = new Batch(new long[rows.Count * columns], new long[rows.Count * columns], rows.Count, columns);
        Array.Fill(batch.Targets, Batch.IgnoredTarget);
        foreach (var (number, row) in rows.Index())
        {
            row.Inputs.CopyTo(batch.Inputs.AsSpan(number * columns));
            row.Targets.CopyTo(batch.Targets.AsSpan(number * columns));
        }
        string[] images = [.. rows.SelectMany(row => row.Images)];
        if (images.Length == 0) return batch;
        string[] distinct = [.. images.Distinct()];
        return batch with
        {
            Pictures = new([.. distinct.Select(Read)], [.. images.Select(file => Array.IndexOf(distinct, file))])
        };

        Picture Read(string file) => image is null ? PictureFile.Read(file) : ImagePreprocessing.Square(PictureFile.Read(file), image);
    }

    /// <summary>A row as tokens: each is the input before the next one, and only those of the answer are targets.</summary>
    private sealed record Encoded(long[] Inputs, long[] Targets, IReadOnlyList<string> Images)
    {
        public static Encoded Of(ImageTextRow row, Tokenizer tokenizer)
        {
            var tokens = new List<long>();
            if (tokenizer.BeginOfText is { } begin) tokens.Add(begin);
            foreach (var (number, part) in row.Parts.Index())
            {
                if (number > 0) tokens.Add(Batch.ImagePlaceholder);
                foreach (var token in tokenizer.Encode(part)) tokens.Add(token);
            }
            if (tokens.Count == 0) throw new InputException($"a row without text and pictures; its answer is {row.Answer}");
            var prompt = tokens.Count;
            int[] answer =
            [
                .. tokenizer.Encode(row.Separated), .. tokenizer.EndOfText is { } end ? [end] : tokenizer.Encode("\n"),
            ];
            foreach (var token in answer) tokens.Add(token);
            var targets = new long[tokens.Count - 1];
            Array.Fill(targets, Batch.IgnoredTarget);
            for (var place = prompt - 1; place < targets.Length; place++) targets[place] = tokens[place + 1];
            return new([.. tokens.SkipLast(1)], targets, row.Images);
        }
    }

    private sealed class Rows(ImageTextDataset data, ImageConfig? image, int batchSize, int seed, long position) : TrainingBatches(position)
    {
        public override Batch At(long position) =>
            Padded([.. Enumerable.Range(0, batchSize).Select(row => Row(position * batchSize + row))], image);

        private Encoded Row(long drawn)
        {
            var (epoch, index) = Math.DivRem(drawn, data.training.Count);
            var key = CounterRandom.Bits(CounterRandom.Bits((ulong)(uint)seed, 0), (ulong)epoch);
            return data.training[(int)new Permutation(data.training.Count, key).At(index)];
        }
    }
}
