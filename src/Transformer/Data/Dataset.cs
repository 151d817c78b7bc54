using Transformer.Configuration;
using Transformer.Data.Tasks;
using Transformer.Runs;
using Transformer.Tokenization;

namespace Transformer.Data;

/// <summary>What a run learns from: batches to train on, held-out batches to validate on, and the tokenizer of their ids.</summary>
public abstract class Dataset : IDisposable
{
    /// <summary>Its name in messages.</summary>
    public abstract string Name { get; }

    /// <summary>What the ids mean.</summary>
    public abstract Tokenizer Tokenizer { get; }

    /// <summary>xxHash-128 of the data, in hexadecimal, so that a run does not continue with other data.</summary>
    public abstract string Checksum { get; }

    /// <summary>Opens the dataset of a configuration.</summary>
    /// <exception cref="InputException">A file is missing or wrong, or a text is too long for the memory.</exception>
    public static Dataset Open(DataConfig config) => config.Kind switch
    {
        DataKind.Task => new TaskDataset(config.Task!),
        DataKind.ImageText => ImageTextDataset.Open(config),
        _ => Corpus.Open(config),
    };

    /// <summary>Whether rows show pictures, so that only a model that reads pictures can be trained on them.</summary>
    public virtual bool HasPictures => false;

    /// <summary>Checks that a model of this context length can be trained and validated on it.</summary>
    /// <param name="contextLength">T, the most tokens that it reads at once.</param>
    /// <param name="segments">How many times T a training row of a text has.</param>
    /// <param name="placesOfPicture">How many places stand for a picture.</param>
    /// <exception cref="InputException">There is too little of it, or its rows are too long.</exception>
    public abstract void RequireContext(int contextLength, int segments = 1, int placesOfPicture = 1);

    /// <summary>Checks that a run can be trained and validated on it.</summary>
    /// <exception cref="InputException">There is too little of it, or its rows are too long.</exception>
    public void RequireContext(RunConfig run)
    {
        if (HasPictures && run.Model.Vision is null)
            throw new InputException($"{Name}: its rows show pictures, and the model reads text alone. Give model.vision, such as " +
                "{kind: prefix, image: {size: 75}, patch: 15}.");
        RequireContext(
            run.Data.Kind == DataKind.Text ? run.Model.ContextLength : run.Model.MostTokens, run.RowSegments,
            run.Model.Vision?.Placeholders ?? 1);
    }

    /// <summary>The batches to train on, from a position on.</summary>
    /// <param name="run">Batch size, context, seed and sampling.</param>
    /// <param name="position">The number of batches drawn before; 0 for a new run.</param>
    public abstract TrainingBatches Train(RunConfig run, long position = 0);

    /// <summary>The batches to validate on, the same ones each time.</summary>
    /// <param name="batchSize">B, the most rows of a batch; the last one has what is left.</param>
    /// <param name="contextLength">T, the most tokens of a row.</param>
    /// <param name="batches">How many for a quick estimate; all of them where null, or where there are no more.</param>
    public abstract IEnumerable<Batch> HeldOut(int batchSize, int contextLength, int? batches = null);

    /// <summary>The same for a model: one that remembers gets a text as streams, and rows of a task whole.</summary>
    /// <param name="model">The model.</param>
    /// <param name="batchSize">B, the most rows of a batch; the last one has what is left.</param>
    /// <param name="batches">How many for a quick estimate; all of them where null, or where there are no more.</param>
    public virtual IEnumerable<Batch> HeldOut(ModelConfig model, int batchSize, int? batches = null)
    {
        var all = HeldOut(batchSize, model.ContextLength, batches);
        return model.Vision is { } vision ? all.Select(batch => batch.ReadBy(vision)) : all;
    }

    /// <summary>The prompt of the run's samples: at least one token.</summary>
    public abstract SamplePrompt SamplePrompt();

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Releases what it holds.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }
}
