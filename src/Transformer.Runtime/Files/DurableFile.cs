using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Transformer.Configuration;

namespace Transformer.Files;

/// <summary>Files that are there whole or not at all, whenever the process ends.</summary>
internal static class DurableFile
{
    private const int TooManyFiles = 24, DiskFull = 28, QuotaReached = 122, WindowsDiskFull = unchecked((int)0x80070070);

    // The files are read by people, not embedded in HTML: a quote or an accent stays what it is.
    private static readonly JsonSerializerOptions Readable = new()
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping
    };

    /// <summary>
    /// Writes beside the path, flushes to the disk and renames. Whatever goes wrong, the path keeps what it held and nothing else remains.
    /// </summary>
    /// <exception cref="InputException">The file cannot be written: no folder, no permission, no space.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        try
        {
            using var partial = new PartialPath(path);
            using (var stream = new FileStream(partial.New, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 1 << 16))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(partial.New, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Unwritable(path, e);
        }
    }

    /// <summary>Throws if a file could not be written, before the work whose result it is to hold.</summary>
    /// <exception cref="InputException">There is no such folder, it may not be written, or there is what is no file.</exception>
    public static void RequireWritable(string path)
    {
        try
        {
            if (Directory.Exists(path)) throw new IOException("it is a folder");
            if (RegularFile.IsOther(path) || new FileInfo(path).LinkTarget is not null)
                throw new InputException($"{path}: is a link, a pipe or a device, which a file would replace. Name another file.");
            using var partial = new PartialPath(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Unwritable(path, e);
        }
    }

    /// <summary>Writes a text as UTF-8.</summary>
    /// <exception cref="InputException">The file cannot be written.</exception>
    public static void WriteText(string path, string text) => Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(text)));

    /// <summary>Writes indented JSON.</summary>
    /// <exception cref="InputException">The file cannot be written.</exception>
    public static void WriteJson(string path, JsonNode json) => WriteText(path, json.ToJsonString(Readable) + "\n");

    /// <summary>The message for a file or folder that cannot be written.</summary>
    public static InputException Unwritable(string path, Exception reason) => new(
        reason.HResult == TooManyFiles ? $"{path}: cannot be written ({reason.Message}). Raise the limit of open files (ulimit -n)."
            : $"{path}: cannot be written ({reason.Message})\n  Nothing was changed. {Advice(path, reason)}", reason);

    private static string Advice(string path, Exception reason)
    {
        if (reason.HResult is DiskFull or QuotaReached or WindowsDiskFull) return "Free space there, or choose another folder.";
        for (var above = Path.GetDirectoryName(Path.GetFullPath(path)); above is not null; above = Path.GetDirectoryName(above))
            if (File.Exists(above)) return $"{above} is a file, not a folder. Choose another folder.";
        return "Choose another folder that exists and may be written.";
    }
}
