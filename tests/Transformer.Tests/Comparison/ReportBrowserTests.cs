using Deque.AxeCore.Playwright;
using Microsoft.Playwright;
using Transformer.Comparison;
using Transformer.Runs;

namespace Transformer.Tests.Comparison;

/// <summary>The page in a real browser.</summary>
public sealed class ReportBrowserTests(Chromium chromium) : IClassFixture<Chromium>, IDisposable
{
    private const string Curves = "#chart svg";

    private readonly TemporaryFolder here = new();
    private readonly List<string> complaints = [], requests = [];

    private static readonly ReportRun[] Runs =
    [
        SampleRuns.Of("base-1", 200, "base", seed: 1), SampleRuns.Of("base-2", 200, "base", seed: 2),
        SampleRuns.Of("a-name-that-is-longer-than-a-phone-is-wide-and-has-no-space-in-it <i>", 120, seed: 3),
    ];

    public void Dispose() => here.Dispose();

    [Theory]
    [InlineData("input[value=tokens] + span")]
    [InlineData("input[value=seconds] + span")]
    [InlineData("input[value=core_seconds] + span")]
    [InlineData("input[value=flops] + span")]
    [InlineData("input[name=logx]")]
    [InlineData("input[name=logy]")]
    [InlineData("input[name=show] >> nth=0")]
    [InlineData("input[name=show] >> nth=2")]
    [InlineData(".group input >> nth=0")]
    public async Task A_click_changes_the_curves_and_the_change_outlasts_a_reload(string control)
    {
        var page = await Show(await chromium.Open());
        var before = await TextOf(page, Curves);
        await page.ClickAsync(control);
        await AssertKept(page, Curves, before);
    }

    [Theory]
    [InlineData("#smooth", Curves)]
    [InlineData("#at", "#values")]
    [InlineData("#sample", "#texts")]
    public async Task The_keyboard_moves_a_slider_and_the_change_outlasts_a_reload(string slider, string shows)
    {
        var page = await Show(await chromium.Open());
        var before = await TextOf(page, shows);
        await page.FocusAsync(slider);
        await page.Keyboard.PressAsync("Home");
        await AssertKept(page, shows, before);
    }

    [Fact]
    public async Task A_pointer_over_a_chart_shows_the_values_there()
    {
        var page = await Show(await chromium.Open());
        await page.HoverAsync(Curves, new() { Position = new() { X = 300, Y = 100 } });
        await page.FillAsync("#smooth", "0");
        var step = int.Parse(await TextOf(page, "#values tbody tr:last-child td >> nth=0"));
        Assert.InRange(step, 20, 100);
        Assert.Equal($"{Runs[2].Metrics[step - 1].TrainLoss:f4}", await TextOf(page, "#values tbody tr:last-child td >> nth=1"));
        Assert.Empty(complaints);
    }

    [Fact]
    public async Task The_page_asks_for_nothing_but_itself_and_keeps_its_policy()
    {
        var page = await Show(await chromium.Open(keepsPolicy: true));
        await page.ClickAsync("input[name=logy]");
        Assert.Single(requests);
        Assert.Empty(complaints);
    }

    [Theory]
    [InlineData(ColorScheme.Light, 1200)]
    [InlineData(ColorScheme.Dark, 1200)]
    [InlineData(ColorScheme.Light, 390)]
    public async Task Axe_finds_nothing_to_object_to(ColorScheme scheme, int width)
    {
        var page = await Show(await chromium.Open(scheme, width), isLive: true);
        var result = await page.RunAxe();
        Assert.Empty(result.Violations.Select(
            found => $"{found.Id}: {found.Help} {string.Join(", ", found.Nodes.Select(node => node.Html))}"));
    }

    [Fact]
    public async Task The_page_is_not_wider_than_a_phone()
    {
        var page = await Show(await chromium.Open(width: 390));
        Assert.Equal(390, await page.EvaluateAsync<int>("document.documentElement.scrollWidth"));
    }

    [Fact]
    public async Task A_run_without_a_step_and_one_whose_operations_are_unknown_are_told_about()
    {
        var task = Runs[0] with { Name = "copies", Group = null, Config = ConfigFile.Load("copy", ["model.vocabulary_size=9"]) };
        var page = await Show(await chromium.Open(), runs: [SampleRuns.Of("new", 0), task]);
        await page.ClickAsync("input[value=flops] + span");
        Assert.Equal("FLOPs: not known for copies.", await TextOf(page, "#note"));
        Assert.Contains("nothing to show yet", await TextOf(page, "#chart"));
        Assert.Empty(complaints);
    }

    [Fact]
    public async Task A_live_page_loads_itself_with_its_controls_until_the_run_is_over()
    {
        var page = await chromium.Open();
        await page.Clock.InstallAsync();
        await Show(page, isLive: true);
        await page.ClickAsync("input[value=tokens] + span");
        await page.Clock.FastForwardAsync(1000);    // the state is kept a moment later

        Write(SampleRuns.Of("base-1", 100), isLive: true);
        await Reloaded(page);
        Assert.True(await page.IsCheckedAsync("input[value=tokens]"));
        Assert.Contains("as of", await TextOf(page, "#live"));

        await page.UncheckAsync("input[name=follow]");
        await AssertStays(page);
        await page.CheckAsync("input[name=follow]");
        Write(SampleRuns.Of("base-1", 150), isLive: false);
        await Reloaded(page);
        Assert.False(await page.IsVisibleAsync("#live"));
        await AssertStays(page);
        Assert.Empty(complaints);
    }

    private async Task<IPage> Show(IPage page, bool isLive = false, ReportRun[]? runs = null)
    {
        page.Console += (_, message) => complaints.Add(message.Text);
        page.PageError += (_, error) => complaints.Add(error);
        page.Request += (_, request) => requests.Add(request.Url);
        Write(runs ?? Runs, isLive);
        await page.GotoAsync($"file://{here["report.html"]}");
        return page;
    }

    private void Write(ReportRun run, bool isLive) => Write([run], isLive);

    private void Write(ReportRun[] runs, bool isLive) => here.Write("report.html", ReportPage.Html("runs", [], runs, isLive));

    private async Task AssertKept(IPage page, string shows, string before)
    {
        var after = await TextOf(page, shows);
        Assert.NotEqual(before, after);
        await page.WaitForFunctionAsync("location.hash.length > 1");
        await page.ReloadAsync();
        Assert.Equal(after, await TextOf(page, shows));
        Assert.Empty(complaints);
    }

    private static async Task Reloaded(IPage page)
    {
        await page.EvaluateAsync("window.isOld = true");
        await page.Clock.FastForwardAsync(6000);
        await page.WaitForFunctionAsync("!window.isOld && document.readyState === 'complete'");
    }

    private static async Task AssertStays(IPage page)
    {
        await page.EvaluateAsync("window.isOld = true");
        await page.Clock.FastForwardAsync(60_000);
        await page.EvaluateAsync("new Promise(done => requestIdleCallback(done))");
        Assert.True(await page.EvaluateAsync<bool>("window.isOld === true"));
    }

    private static Task<string> TextOf(IPage page, string selector) =>
        selector == Curves ? page.InnerHTMLAsync(selector) : page.InnerTextAsync(selector);
}
