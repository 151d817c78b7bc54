using Transformer.Configuration;
using Transformer.Training;

namespace Transformer.Reproductions;

/// <summary>One of the models, or groups of models, that a reproduction compares.</summary>
/// <param name="Name">Its name within the reproduction, and its folder's.</param>
public abstract record Arm(string Name)
{
    /// <summary>
    /// What the arm is, as text. A recipe's own content and the code are not part of it: after changing them measure in another folder.
    /// </summary>
    /// <param name="seed">Of all that is drawn at random.</param>
    internal abstract string Definition(int seed);

    /// <summary>Measures it.</summary>
    /// <param name="folder">Where it may keep its state, so that it goes on there after an interruption.</param>
    /// <param name="seed">Of all that is drawn at random.</param>
    /// <param name="report">Told how the training goes.</param>
    /// <param name="cancellation">Ends it; what it has is saved.</param>
    /// <returns>The measures by name.</returns>
    internal abstract IReadOnlyDictionary<string, double> Measure(
        string folder, int seed, Action<TrainingEvent> report, CancellationToken cancellation);

    /// <summary>
    /// What it measured before, according to the record beside its folder, or else the measurement itself; and its processor time.
    /// </summary>
    /// <inheritdoc cref="Measure"/>
    /// <exception cref="InputException">The folder holds another experiment's arm, or cannot be written.</exception>
    internal (IReadOnlyDictionary<string, double> Measures, double CoreSeconds) Run(
        string folder, int seed, Action<TrainingEvent> report, CancellationToken cancellation)
    {
        var (path, definition) = ($"{folder}.json", Definition(seed));
        var record = ArmRecord.Read(path);
        if (record is null)
        {
            // what is there belongs to a record that is gone
            if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
            new ArmRecord(definition, Measures: null, CoreSeconds: 0).Write(path);
        }
        else if (record.Definition != definition)
            throw new InputException(
                $"{path}: found the results of another experiment, {record.Definition}, expected {definition}.\n  " +
                "Choose another folder with --out.");
        else if (record.Measures is { } known) return (known, record.CoreSeconds);
        var before = Environment.CpuUsage.TotalTime;
        var measures = Measure(folder, seed, report, cancellation);
        var seconds = (Environment.CpuUsage.TotalTime - before).TotalSeconds;
        new ArmRecord(definition, measures, seconds).Write(path);
        return (measures, seconds);
    }
}
