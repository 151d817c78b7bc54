namespace Transformer.Configuration;

/// <summary>A configuration record that checks its own values. Only what the types cannot say is checked here.</summary>
public interface IValidated
{
    /// <summary>All that is wrong with the record's own values; paths are relative to the record.</summary>
    IEnumerable<ConfigProblem> Problems();
}
