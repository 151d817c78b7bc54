using System.Text;
using Transformer.Configuration;
using Transformer.Files;

namespace Transformer.Training;

/// <summary>A run's samples.txt: what the model wrote, and after how many steps.</summary>
internal sealed class SampleLog
{
    /// <summary>The name of the file in the run's folder.</summary>
    public const string FileName = "samples.txt";

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
            file.Write(Encoding.UTF8.GetBytes($"--- step {step}\n{text}\n"));
            return file.Position;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw DurableFile.Unwritable(path, e);
        }
    }
}
