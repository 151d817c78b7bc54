using Microsoft.Playwright;

namespace Transformer.Tests.Comparison;

/// <summary>The system's Chromium. Where there is none, the tests that ask for it are skipped.</summary>
public sealed class Chromium : IAsyncLifetime
{
    private IPlaywright? playwright;
    private IBrowser? browser;

    private static string? Program => Environment.GetEnvironmentVariable("PATH")!.Split(Path.PathSeparator).Append("/usr/bin")
        .SelectMany(folder => new[] { "chromium", "chromium-browser", "google-chrome" }.Select(name => Path.Combine(folder, name)))
        .FirstOrDefault(File.Exists);

    public async ValueTask InitializeAsync()
    {
        if (Program is not { } program) return;
        playwright = await Playwright.CreateAsync();
        // a container's root may not use the sandbox
        browser = await playwright.Chromium.LaunchAsync(new() { ExecutablePath = program, Args = ["--no-sandbox"] });
    }

    /// <summary>A page of a size, in a colour scheme.</summary>
    /// <param name="scheme">Light or dark.</param>
    /// <param name="width">The width of the window in pixels.</param>
    /// <param name="keepsPolicy">Whether the page's own content security policy holds, which forbids most of a test's script too.</param>
    public async Task<IPage> Open(ColorScheme scheme = ColorScheme.Light, int width = 1200, bool keepsPolicy = false)
    {
        if (browser is null) Assert.Skip("chromium is not installed; `apt-get install chromium` brings it");
        var context = await browser.NewContextAsync(new()
        {
            ColorScheme = scheme,
            ViewportSize = new() { Width = width, Height = 900 },
            BypassCSP = !keepsPolicy,
        });
        return await context.NewPageAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (browser is not null) await browser.DisposeAsync();
        playwright?.Dispose();
    }
}
