using System.ComponentModel;
using System.Diagnostics;

namespace Transformer.Cli;

/// <summary>A page that is opened in the user's browser.</summary>
internal sealed class Browser : IDisposable
{
    // A program that opens pages may run as long as the browser does. Ctrl-C is meant for this command alone, and standard output is its.
    private const string Quietly = """trap "" INT; exec "$0" "$1" > /dev/null 2>&1""";

    private readonly Process? opener;

    private readonly bool isThere;

    // Windows hands a page to a browser that runs already, and has no process to show.
    private Browser(Process? opener, bool isThere) => (this.opener, this.isThere) = (opener, isThere);

    /// <summary>Whether it has turned out that there is no browser, or none that opens pages.</summary>
    public bool HasFailed => !isThere || opener is { HasExited: true, ExitCode: not 0 };

    /// <summary>Opens a page. Whether that goes well shows a moment later.</summary>
    public static Browser Open(string page)
    {
        var path = Path.GetFullPath(page);
        try
        {
            return new(Process.Start(
                OperatingSystem.IsWindows() ? new ProcessStartInfo(path) { UseShellExecute = true }
                    : new ProcessStartInfo("sh", ["-c", Quietly, OperatingSystem.IsMacOS() ? "open" : "xdg-open", path])), isThere: true);
        }
        catch (Win32Exception)
        {
            return new(null, isThere: false);
        }
    }

    /// <summary>Waits until the page is handed over, or a second.</summary>
    public void Wait() => opener?.WaitForExit(1000);

    /// <summary>What to do where it has failed.</summary>
    public static string Advice(string page) => $"no browser could be started. Open {Path.GetFullPath(page)} yourself.";

    /// <inheritdoc/>
    public void Dispose() => opener?.Dispose();
}
