using System.Text;
using Transformer.Configuration;

namespace Transformer.Files;

/// <summary>Files with text.</summary>
internal static class Utf8File
{
    /// <summary>The whole text of a file.</summary>
    /// <param name="file">The file.</param>
    /// <param name="what">What was expected in it, for messages.</param>
    /// <exception cref="InputException">It cannot be read, or is not UTF-8.</exception>
    public static string Read(string file, string what)
    {
        try
        {
            return WholeFile.Text(file);
        }
        catch (DecoderFallbackException e)
        {
            throw new InputException($"{file}: found bytes that are not UTF-8; expected a text file with {what}.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new InputException($"{file}: cannot be read ({e.Message}); expected a text file with {what}.", e);
        }
    }
}
