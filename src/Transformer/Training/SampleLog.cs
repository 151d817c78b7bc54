using System.Text;
using Transformer.Configuration;
using Transformer.Files;

namespace Transformer.Training;

/// <summary>A run's samples.txt: what the model wrote, and after how many steps.</summary>
internal sealed class SampleLog
{
    /// <summary>The name of the file in the run's folder.</summary>
    public const string FileName = "samples.txt";

    private const string Mark = "--- step ";

    private readonly string path;

    /// <summary>Opens the samples of a run; what a killed process wrote after its last checkpoint is dropped.</summary>
    /// <param name="folder">The run's folder.</param>
    /// <param name="length">The file's length at the checkpoint, in bytes.</param>
    public SampleLog(string folder, long length)
    {
        path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) return;
        using var file = new FileStream(path, FileMode.Open);
        if (file.Length > length) file.SetLength(length);
    }

    /// <summary>Appends a sample.</summary>
    /// <returns>The file's length, in bytes.</returns>
    /// <exception cref="InputException">The file cannot be written.</exception>
    public long Append(int step, string text)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Append);
            file.Write(Encoding.UTF8.GetBytes($"{Mark}{step}\n{text}\n"));
            return file.Position;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw DurableFile.Unwritable(path, e);
        }
    }

    /// <summary>The samples of a run, which may be in training; none where there is no file, or none that can be read.</summary>
    /// <param name="folder">The run's folder.</param>
    public static IReadOnlyList<TrainingEvent.Sampled> Read(string folder)
    {
        var path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) return [];
        byte[] bytes;
        try
        {
            bytes = WholeFile.Bytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
        var samples = new List<(int Step, StringBuilder Text)>();
        // leniently: a killed process may have left half a character
        foreach (var line in Encoding.UTF8.GetString(bytes).Split('\n'))
        {
            // steps grow: a model may write such a line itself
            if (line.StartsWith(Mark, StringComparison.Ordinal) && int.TryParse(line.AsSpan(Mark.Length), out var step)
                && (samples.Count == 0 || step > samples[^1].Step))
                samples.Add((step, new()));
            else if (samples.Count > 0)
                samples[^1].Text.Append(line).Append('\n');
        }
        return [.. samples.Select(sample => new TrainingEvent.Sampled(sample.Step, sample.Text.ToString().TrimEnd('\n')))];
    }
}
