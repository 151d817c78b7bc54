using Transformer.Configuration;
using Transformer.Data;
using Transformer.Data.Tasks;
using Transformer.Distributed;
using Transformer.Runs;

namespace Transformer.Tests.Data.Tasks;

public sealed class TaskDatasetTests
{
    private static readonly RunConfig Run = ConfigFile.Load("copy", ["training.batch_size=3"]);

    [Theory]
    [InlineData(null)]
    [InlineData(7)]
    public void A_run_that_resumes_anywhere_sees_the_batches_of_an_uninterrupted_one(int? rows)
    {
        using var data = new TaskDataset(new CopyTaskConfig { TrainingRows = rows });
        using var whole = data.Train(Run);
        var batches = Enumerable.Range(0, 20).Select(_ => whole.Next()).ToArray();

        using var again = new TaskDataset(new CopyTaskConfig { TrainingRows = rows });
        for (var position = 0; position < batches.Length; position++)
        {
            using var resumed = again.Train(Run, position);
            var batch = resumed.Next();
            Assert.Equal(batches[position].Inputs, batch.Inputs);
            Assert.Equal(batches[position].Targets, batch.Targets);
        }
    }

    [Fact]
    public void A_finite_set_comes_once_an_epoch_in_a_new_order()
    {
        using var data = new TaskDataset(new CopyTaskConfig { TrainingRows = 60 });
        using var batches = data.Train(Run);
        var epochs = Enumerable.Range(0, 4).Select(_ => Enumerable.Range(0, 20).SelectMany(_ => Texts(batches.Next())).ToArray()).ToArray();

        Assert.All(epochs, epoch => Assert.Equal(60, epoch.Distinct().Count()));
        Assert.All(epochs.Skip(1), epoch => Assert.Equal(epochs[0].Order(), epoch.Order()));
        Assert.Equal(4, epochs.Select(epoch => string.Join('/', epoch)).Distinct().Count());
    }

    [Fact]
    public void Fresh_rows_do_not_come_back_and_another_seed_of_the_run_has_others()
    {
        using var data = new TaskDataset(new CopyTaskConfig());
        using var batches = data.Train(Run);
        using var others = data.Train(Run with { Training = Run.Training with { Seed = 2 } });
        var rows = Enumerable.Range(0, 1000).SelectMany(_ => Texts(batches.Next()).Concat(Texts(others.Next()))).ToList();
        Assert.Equal(6000, rows.Distinct().Count());
    }

    [Fact]
    public void The_order_follows_the_seed_of_the_run_and_the_rows_that_of_the_task()
    {
        var task = new CopyTaskConfig { TrainingRows = 3 };
        using var data = new TaskDataset(task);
        using var other = new TaskDataset(task with { Seed = 1 });
        Assert.Equal(Epoch(data, seed: 1).Order(), Epoch(data, seed: 2).Order());
        Assert.Contains(Enumerable.Range(2, 10), seed => !Epoch(data, 1).SequenceEqual(Epoch(data, seed)));
        Assert.Empty(Epoch(data, seed: 1).Intersect(Epoch(other, seed: 1)));
        Assert.NotEqual(data.Checksum, other.Checksum);

        static IEnumerable<string> Epoch(TaskDataset data, int seed)
        {
            using var batches = data.Train(Run with { Training = Run.Training with { Seed = seed } });
            return Texts(batches.Next());
        }
    }

    [Fact]
    public void Training_and_validation_rows_are_different_rows()
    {
        using var data = new TaskDataset(new CopyTaskConfig { TrainingRows = 500, ValidationRows = 500 });
        var training = Texts(data.Rows(TaskSplit.Training, Numbers(500)));
        Assert.Empty(training.Intersect(Texts(data.Rows(TaskSplit.Validation, Numbers(500)))));
    }

    [Theory]
    [InlineData(2, 0.5)]
    [InlineData(11, 0.3)]
    [InlineData(23, 0.999)]
    public void Pairs_to_add_are_trained_on_or_validate_and_none_does_both(int modulus, double fraction)
    {
        var task = new ModularAdditionTaskConfig { Modulus = modulus, TrainingFraction = fraction };
        using var data = new TaskDataset(task);
        using var epochs = data.Train(Run with { Training = Run.Training with { BatchSize = task.TrainingRows!.Value } });
        var (first, second) = (Texts(epochs.Next()).ToList(), Texts(epochs.Next()));
        var pairs = modulus * modulus;
        Assert.Equal(Math.Min(pairs - 1, Math.Round(fraction * pairs)), first.Count);
        Assert.Equal(first.Order(), second.Order());
        Assert.Equal(pairs, first.Concat(data.HeldOut(100, 3).SelectMany(Texts)).Distinct().Count());
        Assert.Equal(pairs - first.Count, data.HeldOut(100, 3).Sum(batch => batch.Rows));
    }

    [Fact]
    public void Another_seed_of_the_task_trains_on_other_pairs()
    {
        static IEnumerable<string> Trained(int seed)
        {
            using var data = new TaskDataset(new ModularAdditionTaskConfig { Seed = seed });
            return [.. Texts(data.Rows(TaskSplit.Training, Numbers(3831)))];
        }

        Assert.Equal(3831, Trained(0).Distinct().Count());
        Assert.InRange(Trained(0).Intersect(Trained(1)).Count(), 0.25 * 3831, 0.35 * 3831);
    }

    [Fact]
    public void Validation_rows_are_the_same_ones_whatever_the_batch_size_and_an_estimate_is_their_beginning()
    {
        using var data = new TaskDataset(new CopyTaskConfig { ValidationRows = 50 });
        var all = data.HeldOut(50, 64).SelectMany(Texts).ToList();
        Assert.Equal(50, all.Count);
        Assert.Equal(all, data.HeldOut(7, 64).SelectMany(Texts));
        Assert.Equal(all, data.HeldOut(7, 64, batches: 100).SelectMany(Texts));
        Assert.Equal(all.Take(21), data.HeldOut(7, 64, batches: 3).SelectMany(Texts));
    }

    [Fact]
    public void Validation_rows_may_have_another_length()
    {
        using var data = new TaskDataset(new CopyTaskConfig { Length = 4, ValidationLength = 6 });
        using var batches = data.Train(Run);
        Assert.Equal((8, 12), (batches.Next().Columns, data.HeldOut(5, 64).First().Columns));
        Assert.Equal("data.task: validation rows have 12 tokens, but model.context_length is 8; raise it to 12, or make the rows shorter",
            Assert.Throws<InputException>(() => data.RequireContext(8)).Message);
        data.RequireContext(12);
    }

    [Fact]
    public void Zoology_s_set_is_expressible()
    {
        var run = ConfigFile.Load("mqar", []);
        Assert.Equal(64 * 100_000, run.Training.Steps * run.Training.BatchSize);
        using var data = Dataset.Open(run.Data);
        data.RequireContext(run);
        Assert.Equal((8192, 3000 * 4), (data.Tokenizer.VocabularySize, data.HeldOut(256, 64).Sum(batch => batch.Predictions)));
    }

    [Fact]
    public void A_sample_is_asked_for_the_answers_of_the_first_validation_row()
    {
        using var data = new TaskDataset(new CopyTaskConfig { Length = 5 });
        var (prompt, answer) = data.SamplePrompt();
        Assert.Equal((6, 5), (prompt.Length, answer));
        Assert.Equal(data.HeldOut(1, 64).First().Inputs.Take(6), prompt.Select(id => (long)id));

        using var queries = new TaskDataset(new MqarTaskConfig { Length = 16 });
        Assert.Equal(1, queries.SamplePrompt().Answer);
    }

    private static IEnumerable<string> Texts(Batch batch) => batch.Inputs.Chunk(batch.Columns).Select(row => string.Join(' ', row));

    private static ulong[] Numbers(int count) => [.. Enumerable.Range(0, count).Select(row => (ulong)row)];
}
