using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Text;
using Transformer.Configuration;
using Transformer.Runs;
using Transformer.Tokenization;

namespace Transformer.Data.Tasks;

/// <summary>
/// A generated task: rows are made on demand. A row is a function of the task's seed, its split and its number, so validation rows do not
/// depend on training, and a resumed run sees what an uninterrupted one would have seen. Rows about one picture have their random numbers
/// in common: those of the picture.
/// </summary>
public sealed class TaskDataset : Dataset
{
    private const int RowsInChecksum = 16;
    private readonly TaskConfig config;
    private readonly SequenceTask task;
    private readonly ulong seed;

    /// <param name="config">The task; its values are sound.</param>
    public TaskDataset(TaskConfig config)
    {
        (this.config, task) = (config, SequenceTask.FromConfig(config));
        seed = CounterRandom.Bits((ulong)(uint)config.Seed, 0);
        Name = $"the task {ConfigJson.ToJson(config)["kind"]}";
        Tokenizer = new WordTokenizer(task.Words);
    }

    /// <inheritdoc/>
    public override string Name { get; }

    /// <inheritdoc/>
    public override Tokenizer Tokenizer { get; }

    /// <inheritdoc/>
    public override bool HasPictures => task is PictureTask { ShowsPictures: true };

    /// <summary>xxHash-128 of the configuration and of the first rows, in hexadecimal.</summary>
    public override string Checksum
    {
        get
        {
            var hash = new XxHash128();
            hash.Append(Encoding.UTF8.GetBytes(ConfigJson.ToJson(config).ToJsonString()));
            foreach (var split in Enum.GetValues<TaskSplit>())
            {
                var rows = Rows(split, [.. Enumerable.Range(0, RowsInChecksum).Select(row => (ulong)row)]);
                hash.Append(MemoryMarshal.AsBytes<long>(rows.Inputs));
                hash.Append(MemoryMarshal.AsBytes<long>(rows.Targets));
                foreach (var picture in rows.Pictures?.Distinct ?? []) hash.Append(picture.Pixels);
            }
            return Convert.ToHexStringLower(hash.GetCurrentHash());
        }
    }

    /// <summary>How many rows ask about a picture; null where the task has none.</summary>
    internal int? RowsPerPicture => (task as PictureTask)?.RowsPerPicture;

    /// <summary>The number of validation rows.</summary>
    internal int ValidationRows => config.ValidationRows;

    /// <summary>Checks that the rows of training and validation fit the context.</summary>
    /// <exception cref="InputException">One is longer.</exception>
    public override void RequireContext(int contextLength, int segments = 1, int placesOfPicture = 1)
    {
        var more = HasPictures ? placesOfPicture - 1 : 0;
        foreach (var split in Enum.GetValues<TaskSplit>())
            if (task.Tokens(LengthOf(split)) + more is var tokens && tokens > contextLength)
                throw new InputException(
                    $"data.task: {split.ToString().ToLowerInvariant()} rows have {tokens} tokens, " +
                    $"but model.context_length is {contextLength}; " +
                    $"raise it to {tokens}, or make the rows shorter");
    }

    /// <inheritdoc/>
    public override TrainingBatches Train(RunConfig run, long position = 0)
    {
        var rows = new TaskSampler(
            this, config.TrainingRows, run.Training.BatchSize, run.Training.Seed, position,
            (config as PictureTaskConfig)?.RowsAtOnce ?? 1);
        return run.Model.Vision is null ? rows : new PictureBatches(rows, run.Model);
    }

    /// <inheritdoc/>
    public override IEnumerable<Batch> HeldOut(int batchSize, int contextLength, int? batches = null)
    {
        var rows = Math.Min(config.ValidationRows, (long)(batches ?? int.MaxValue) * batchSize);
        return Enumerable.Range(0, (int)rows).Select(row => (ulong)row).Chunk(batchSize).Select(chunk => Rows(TaskSplit.Validation, chunk));
    }

    /// <summary>The first validation row up to its last question, after which every token is an answer.</summary>
    public override SamplePrompt SamplePrompt()
    {
        var row = Rows(TaskSplit.Validation, [0]);
        var last = Array.FindLastIndex(row.Targets, target => target != Batch.IgnoredTarget);
        var first = last;
        while (first > 0 && row.Targets[first - 1] != Batch.IgnoredTarget) first--;
        return new([.. row.Inputs[..(first + 1)].Select(id => (int)id)], last - first + 1)
        {
            Pictures = row.Pictures?.Distinct ?? [],
            PictureNames = row.Pictures is null ? [] : ["validation picture 0"],
        };
    }

    /// <summary>Rows by their numbers: [rows, tokens], of one length.</summary>
    internal Batch Rows(TaskSplit split, ulong[] numbers)
    {
        var (length, key) = (LengthOf(split), CounterRandom.Bits(seed, (ulong)split));
        var columns = (int)task.Tokens(length);
        var batch = new Batch(new long[numbers.Length * columns], new long[numbers.Length * columns], numbers.Length, columns);
        Array.Fill(batch.Targets, Batch.IgnoredTarget);
        var rows = numbers.Select((number, row) => new TaskRow(batch, row, split, number)).ToArray();
        BatchPictures? pictures = null;
        if (task is PictureTask pictureTask) pictures = WriteAboutPictures(pictureTask);
        else
            foreach (var row in rows) task.Write(row, length, Random(row.Number));
        return batch with
        {
            Pictures = pictures,
            Sorts = Array.Exists(rows, row => row.Sort is null) ? null : [.. rows.Select(row => row.Sort!)],
        };

        RowRandom Random(ulong number) => new(CounterRandom.Bits(key, number));

        // Every row of a task that shows pictures has one placeholder.
        BatchPictures? WriteAboutPictures(PictureTask task)
        {
            var scenes = new Dictionary<ulong, Scene>();
            foreach (var row in rows) task.Write(row, SceneOf(PictureOf(row.Number)));
            if (!task.ShowsPictures) return null;
            var next = config is PictureTaskConfig { Shown: ShownPictures.Others } ? 1UL : 0;
            ulong[] shown = [.. numbers.Select(number => PictureOf(number) + next)];
            ulong[] distinct = [.. shown.Distinct()];
            return new(
                [.. distinct.Select(picture => SceneOf(picture).Draw())],
                [.. shown.Select(picture => Array.IndexOf(distinct, picture))]);

            Scene SceneOf(ulong picture) => CollectionsMarshal.GetValueRefOrAddDefault(scenes, picture, out _)
                ??= task.SceneOf(split, Random(picture));
        }
    }

    private ulong PictureOf(ulong row) => row / (ulong)(RowsPerPicture ?? 1);

    private int LengthOf(TaskSplit split) => split == TaskSplit.Validation ? config.ValidationLength ?? config.Length : config.Length;
}
