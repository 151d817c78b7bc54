using Transformer.Data;
using Transformer.Runs;

namespace Transformer.Comparison;

/// <summary>The data of several designs, each opened once.</summary>
internal sealed class DataSets : IDisposable
{
    private readonly Dictionary<DataConfig, Dataset> opened = [];

    /// <summary>The data of a run.</summary>
    public Dataset Of(RunConfig run)
    {
        if (!opened.TryGetValue(run.Data, out var data)) opened[run.Data] = data = Dataset.Open(run.Data);
        data.RequireContext(run.RowTokens);
        return data;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var data in opened.Values) data.Dispose();
    }
}
