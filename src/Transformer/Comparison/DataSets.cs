using Transformer.Data;
using Transformer.Runs;

namespace Transformer.Comparison;

/// <summary>The data of several designs, each opened once.</summary>
internal sealed class DataSets
{
    private readonly Dictionary<DataConfig, Dataset> opened = [];

    /// <summary>The data of a design.</summary>
    public Dataset Of(Design design)
    {
        if (!opened.TryGetValue(design.Config.Data, out var data)) opened[design.Config.Data] = data = Dataset.Open(design.Config.Data);
        data.RequireContext(design.Config.Model.ContextLength);
        return data;
    }

    /// <summary>Does something with them and closes them.</summary>
    public T Use<T>(Func<T> act)
    {
        try
        {
            return act();
        }
        finally
        {
            foreach (var data in opened.Values) data.Dispose();
            opened.Clear();
        }
    }
}
