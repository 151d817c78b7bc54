using System.Text.Json;
using Transformer.Configuration;
using Transformer.Files;

namespace Transformer.Reproductions;

/// <summary>The file of an arm: what it is from its beginning on, what it measured from its end on.</summary>
/// <param name="Definition">All that decides what is measured.</param>
/// <param name="Measures">The measures by name; null before the end.</param>
/// <param name="CoreSeconds">The processor time that they took, what was done before an interruption left out.</param>
internal sealed record ArmRecord(string Definition, IReadOnlyDictionary<string, double>? Measures, double CoreSeconds)
{
    private static readonly JsonSerializerOptions Options = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>The record of an arm; null where it was not begun.</summary>
    /// <exception cref="InputException">It cannot be read.</exception>
    public static ArmRecord? Read(string path)
    {
        if (!File.Exists(path)) return null;
        try
        {
            return JsonSerializer.Deserialize<ArmRecord>(WholeFile.Text(path), Options);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new InputException($"{path}: cannot be read ({e.Message}). Delete it, and the arm is measured again.", e);
        }
    }

    /// <summary>Writes it, and makes the folder that it lies in.</summary>
    /// <exception cref="InputException">It cannot be written.</exception>
    public void Write(string path)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw DurableFile.Unwritable(path, e);
        }
        DurableFile.WriteJson(path, JsonSerializer.SerializeToNode(this, Options)!);
    }
}
