using Transformer.Data;
using Transformer.Data.Tasks;
using Transformer.Runs;

namespace Transformer.Tests.Data.Tasks;

/// <summary>A row as words, and the answers by the position of their question.</summary>
internal sealed record TaskRows(string[] Words, IReadOnlyDictionary<int, string> Answers)
{
    /// <summary>The first validation rows of a task.</summary>
    public static TaskRows[] Of(TaskConfig config, int rows = 500)
    {
        using var data = new TaskDataset(config with { ValidationRows = rows });
        return [.. data.HeldOut(rows, int.MaxValue).SelectMany(batch => Read(data, batch))];
    }

    /// <summary>The first training rows of a task.</summary>
    public static TaskRows[] ToTrain(TaskConfig config, int rows = 500)
    {
        using var data = new TaskDataset(config);
        return [.. Read(data, data.Rows(TaskSplit.Training, [.. Enumerable.Range(0, rows).Select(row => (ulong)row)]))];
    }

    private static IEnumerable<TaskRows> Read(TaskDataset data, Batch batch)
    {
        foreach (var (inputs, targets) in batch.Inputs.Chunk(batch.Columns).Zip(batch.Targets.Chunk(batch.Columns)))
        {
            string Word(long id) => data.Tokenizer.Decode([(int)id]);
            yield return new(
                [.. inputs.Select(Word)],
                targets.Index().Where(target => target.Item != Batch.IgnoredTarget)
                    .ToDictionary(target => target.Index, target => Word(target.Item)));
        }
    }
}
