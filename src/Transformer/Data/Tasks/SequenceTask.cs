using Transformer.Runs;

namespace Transformer.Data.Tasks;

/// <summary>A generated task: its words, the length of a row, and how a row is made.</summary>
internal abstract class SequenceTask
{
    /// <summary>The word of each token, without white space.</summary>
    public abstract IReadOnlyList<string> Words { get; }

    /// <summary>T, the tokens of a row of a size.</summary>
    /// <param name="length">The size, in what the task counts.</param>
    public abstract long Tokens(int length);

    /// <summary>Fills a row: <see cref="Tokens"/> inputs, and a target wherever the model has to answer.</summary>
    /// <param name="row">The row, without targets so far.</param>
    /// <param name="length">The size, in what the task counts.</param>
    /// <param name="random">The row's own random numbers.</param>
    public abstract void Write(TaskRow row, int length, RowRandom random);

    /// <summary>The task of a configuration.</summary>
    public static SequenceTask FromConfig(TaskConfig config) => config switch
    {
        MqarTaskConfig mqar => new MqarTask(mqar),
        AssociativeRetrievalTaskConfig retrieval => new AssociativeRetrievalTask(retrieval),
        CopyTaskConfig copy => new CopyTask(copy.Symbols, backwards: false, copy.Copies),
        ReverseTaskConfig reverse => new CopyTask(reverse.Symbols, backwards: true),
        SelectiveCopyTaskConfig selective => new SelectiveCopyTask(selective),
        InductionHeadsTaskConfig induction => new InductionHeadsTask(induction),
        AdditionTaskConfig addition => new AdditionTask(addition),
        ParityTaskConfig => new ParityTask(),
        ModularAdditionTaskConfig addition => new ModularAdditionTask(addition),
        MultiHopTaskConfig hops => new MultiHopTask(hops),
        NoisyRecallTaskConfig recall => new NoisyRecallTask(recall),
        MemorizationTaskConfig facts => new MemorizationTask(facts),
        SortOfClevrTaskConfig clevr => new SortOfClevrTask(clevr),
        CaptionedScenesTaskConfig scenes => new CaptionedScenesTask(scenes),
        _ => throw new ArgumentOutOfRangeException(nameof(config), config, "no such task"),
    };

    /// <summary>Symbols as numbers from 0 on, then the other words.</summary>
    private protected static IReadOnlyList<string> Numbered(int symbols, params IEnumerable<string> others) =>
        [.. Enumerable.Range(0, symbols).Select(symbol => $"{symbol}"), .. others];
}
