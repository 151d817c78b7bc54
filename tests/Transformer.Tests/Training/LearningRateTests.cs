using Transformer.Runs;
using Transformer.Training;

namespace Transformer.Tests.Training;

public sealed class LearningRateTests
{
    private const int Steps = 2000, Warmup = 100;

    private static readonly Dictionary<string, ScheduleConfig> Schedules = new()
    {
        ["constant"] = new ConstantScheduleConfig { WarmupSteps = Warmup },
        ["linear"] = new LinearScheduleConfig { WarmupSteps = Warmup, FinalRatio = 0.2 },
        ["cosine"] = new CosineScheduleConfig { WarmupSteps = Warmup, FinalRatio = 0.2 },
        ["warmup_stable_decay"] = new WarmupStableDecayScheduleConfig { WarmupSteps = Warmup, FinalRatio = 0.2, DecaySteps = 500 },
    };

    public static TheoryData<string> Kinds => [.. Schedules.Keys];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void The_rate_rises_to_the_peak_and_never_rises_again(string kind)
    {
        var rates = Enumerable.Range(0, Steps + 1).Select(step => LearningRate.At(Schedules[kind], step, Steps)).ToArray();
        Near.Equal(1.0 / 101, rates[0], 1e-12, "first step");
        Assert.Equal(1, rates[Warmup], 1e-12);
        for (var step = 1; step <= Warmup; step++) Assert.True(rates[step] > rates[step - 1]);
        for (var step = Warmup + 1; step <= Steps; step++) Assert.True(rates[step] <= rates[step - 1]);
        Assert.Equal(kind == "constant" ? 1 : 0.2, rates[Steps], 1e-12);
        Assert.Equal(rates[Steps], LearningRate.At(Schedules[kind], Steps + 1000, Steps), 1e-12);
    }

    [Fact]
    public void The_linear_schedule_is_half_way_down_half_way_through() =>
        Assert.Equal(0.6, LearningRate.At(Schedules["linear"], 1050, Steps), 1e-12);

    [Fact]
    public void The_stable_phase_lasts_until_the_decay_begins()
    {
        Assert.Equal(1, LearningRate.At(Schedules["warmup_stable_decay"], 1500, Steps), 1e-12);
        Assert.Equal(0.6, LearningRate.At(Schedules["warmup_stable_decay"], 1750, Steps), 1e-12);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(50)]
    [InlineData(100)]
    [InlineData(777)]
    [InlineData(1999)]
    public void The_cosine_schedule_is_nanoGPT_s(int step)
    {
        const double peak = 1e-3, last = 1e-4;
        var ratio = (step - Warmup) / (double)(Steps - Warmup);
        var expected = step < Warmup ? peak * (step + 1) / (Warmup + 1) : last + 0.5 * (1 + Math.Cos(Math.PI * ratio)) * (peak - last);
        Assert.Equal(
            expected, peak * LearningRate.At(new CosineScheduleConfig { WarmupSteps = Warmup, FinalRatio = 0.1 }, step, Steps), 1e-12);
    }

    [Fact]
    public void Without_a_warm_up_the_first_step_is_at_the_peak() =>
        Assert.Equal(1, LearningRate.At(new CosineScheduleConfig(), 0, Steps));
}
