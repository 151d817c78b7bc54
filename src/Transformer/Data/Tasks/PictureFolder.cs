using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Transformer.Configuration;
using Transformer.Data.Images;
using Transformer.Files;
using Transformer.Generation;
using Transformer.Tokenization;

namespace Transformer.Data.Tasks;

/// <summary>
/// Validation pictures of a task as files that a person can look at: 0000.png and so on, and rows.jsonl with a line for each row about
/// them: its text, its pictures and its answer.
/// </summary>
public static class PictureFolder
{
    /// <summary>The most pictures of a folder, so that their names are in order.</summary>
    public const int MostPictures = 10_000;

    private const string RowsName = "rows.jsonl";

    private static readonly JsonSerializerOptions Format = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes the first validation pictures and their rows. The folder appears when it is complete.</summary>
    /// <param name="data">A task with pictures.</param>
    /// <param name="folder">A folder that does not exist yet, or is empty.</param>
    /// <param name="count">How many pictures; all of them where there are fewer.</param>
    /// <returns>The number of pictures and that of rows.</returns>
    /// <exception cref="InputException">The task has no pictures, or the folder holds something or cannot be written.</exception>
    public static (int Pictures, int Rows) Write(TaskDataset data, string folder, int count)
    {
        if (!data.HasPictures || data.RowsPerPicture is not { } rows) throw new InputException($"{data.Name}: has no pictures to draw");
        folder = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        if (File.Exists(folder) || (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any()))
            throw new InputException($"{folder}: already exists and is not empty; name a new folder for the pictures");
        var pictures = Math.Min(Math.Min(count, MostPictures), data.ValidationRows / rows);
        DurableFolder.Write(folder, partial =>
        {
            var lines = new StringBuilder();
            for (var picture = 0; picture < pictures; picture++)
            {
                var batch = data.Rows(TaskSplit.Validation, [.. Enumerable.Range(picture * rows, rows).Select(row => (ulong)row)]);
                PictureFile.Write(batch.Pictures!.Distinct.Single(), Path.Combine(partial, $"{picture:0000}.png"));
                foreach (var line in Lines(batch, data.Tokenizer, $"{picture:0000}.png")) lines.Append(line).Append('\n');
            }
            DurableFile.WriteText(Path.Combine(partial, RowsName), lines.ToString());
        });
        return (pictures, pictures * rows);
    }

    private static IEnumerable<string> Lines(Batch batch, Tokenizer tokenizer, string name)
    {
        foreach (var (inputs, targets) in batch.Inputs.Chunk(batch.Columns).Zip(batch.Targets.Chunk(batch.Columns)))
        {
            var asked = Array.FindIndex(targets, target => target != Batch.IgnoredTarget);
            var words = inputs.Take(asked + 1)
                .Select(id => id == Batch.ImagePlaceholder ? TextGenerator.ImageMark : tokenizer.Decode([(int)id]));
            var answer = tokenizer.Decode([.. targets.Where(target => target != Batch.IgnoredTarget).Select(target => (int)target)]);
            yield return JsonSerializer.Serialize(
                new Dictionary<string, object> { ["text"] = string.Join(' ', words), ["images"] = (string[])[name], ["answer"] = answer },
                Format);
        }
    }
}
