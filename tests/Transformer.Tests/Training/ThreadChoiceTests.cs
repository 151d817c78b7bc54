using Transformer.Data;
using Transformer.Model;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Tests.Training;

public sealed class ThreadChoiceTests
{
    [Theory]
    [InlineData(2, 2, new[] { 10, 6 })]                 // two are faster than one
    [InlineData(2, 1, new[] { 6, 10 })]                 // one of two cores is busy
    [InlineData(8, 2, new[] { 20, 12, 0, 25, 0, 0, 0, 40 })]
    [InlineData(3, 1, new[] { 6, 0, 10 })]
    [InlineData(2, 2, new[] { 143, 146 })]              // a tie
    [InlineData(4, 2, new[] { 95, 100, 0, 120 })]
    public void Threads_are_halved_while_fewer_are_faster_by_a_tenth(int most, int fastest, int[] milliseconds)
    {
        var choice = ThreadChoice.Measure(most, passes: 1000, threads => milliseconds[threads - 1] / 1e3);
        Assert.Equal((fastest, most), (choice.Threads, choice.Most));
        Assert.True(fastest == most ? choice.Seconds == choice.MostSeconds : choice.Seconds < choice.MostSeconds);
    }

    [Theory]
    [InlineData(1, 1000, 0)]
    [InlineData(2, 3, 0)]
    [InlineData(2, 5, 5)]
    public void No_more_passes_are_spent_than_allowed_and_none_where_there_is_no_choice(int most, int allowed, int atMost)
    {
        var passes = 0;
        ThreadChoice.Measure(most, allowed, _ =>
        {
            passes++;
            return 1e-3;
        });
        Assert.InRange(passes, 0, atMost);
    }

    [Fact]
    public void Nothing_changes_but_the_threads()
    {
        var before = get_num_threads();
        set_num_threads(2);
        try
        {
            using var model = new TransformerModel(Tiny.Config with { Dropout = 0.5 });
            using var space = new ParameterSpace(model);
            var training = new TrainingConfig { Steps = 1, BatchSize = 1, Optimizer = new AdamWConfig { LearningRate = 1e-3 } };
            using var optimizer = Optimizer.FromConfig(training.Optimizer, space);
            var step = new TrainingStep(model, space, optimizer, training);
            model.train();
            var (weights, random) = (space.Values.clone(), get_rng_state());

            var choice = ThreadChoice.Measure(step, new Batch([0, 1, 2, 3], [1, 2, 3, 0], Rows: 1, Columns: 4), passes: 20);

            Assert.Equal(choice.Threads, get_num_threads());
            Near.Equal(weights, space.Values, 0);
            Near.Equal(zeros_like(weights), space.Gradients, 0);
            Assert.Equal(random.data<byte>().ToArray(), get_rng_state().data<byte>().ToArray());
        }
        finally
        {
            set_num_threads(before);
        }
    }
}
