using Transformer.Configuration;

namespace Transformer.Files;

/// <summary>A folder that one process at a time works in.</summary>
internal static class FolderLock
{
    /// <summary>The name of the file that is held.</summary>
    public const string Name = ".lock";

    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(200);

    /// <summary>Waits until no other process works in a folder, as one may that is still saving.</summary>
    public static async Task WaitAsync(string folder, CancellationToken cancellation)
    {
        while (Directory.Exists(folder))
        {
            try
            {
                await Hold(folder, "").DisposeAsync().ConfigureAwait(false);
                return;
            }
            catch (InputException)
            {
                await Task.Delay(Patience, cancellation).ConfigureAwait(false);
            }
        }
    }

    /// <summary>
    /// Keeps a file of the folder open exclusively until it is disposed; the system releases it when the process ends, however it ends.
    /// </summary>
    /// <param name="folder">The folder, which is there.</param>
    /// <param name="problem">What to say where another process holds it, after the folder's name.</param>
    /// <exception cref="InputException">Another process holds it.</exception>
    public static FileStream Hold(string folder, string problem)
    {
        var file = Path.Combine(folder, Name);
        try
        {
            return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (IOException failure) when (File.Exists(file))
        {
            throw new InputException($"{folder}: {problem}", failure);
        }
    }
}
