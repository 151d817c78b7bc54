using Transformer.Configuration;

namespace Transformer.Data;

/// <summary>Windows of tokens and, for each token, the one that follows it. Arrays are row by row.</summary>
/// <param name="Inputs">[B, T] token ids; <see cref="ImagePlaceholder"/> where a picture is read.</param>
/// <param name="Targets">[B, T] the ids one further on; <see cref="IgnoredTarget"/> where there is nothing to predict.</param>
/// <param name="Rows">B, the number of windows.</param>
/// <param name="Columns">T, the tokens of a window.</param>
public sealed record Batch(long[] Inputs, long[] Targets, int Rows, int Columns)
{
    /// <summary>
    /// Which segments begin a text: [B, K], row by row. The rows go on from those of the batch before, so that what was remembered of them
    /// counts; null where every row is a text of its own.
    /// </summary>
    public IReadOnlyList<bool>? Starts { get; init; }

    /// <summary>1 at a token that ends a piece of another tokenizer, else 0: [B, T]. Null where nobody asks.</summary>
    public float[]? PieceEnds { get; init; }

    /// <summary>
    /// The pictures that are read at the placeholders; null where there are none, and where <see cref="Pixels"/> has taken their place.
    /// </summary>
    public BatchPictures? Pictures { get; init; }

    /// <summary>The same as a model reads them; null where there are none, or where no model has been named.</summary>
    public PicturePixels? Pixels { get; init; }

    /// <summary>The sort of question of each row, for accuracies by sort; null where rows are all of one sort.</summary>
    public IReadOnlyList<string>? Sorts { get; init; }

    /// <summary>
    /// Which document of its row a token belongs to, from 1 on, or 0 for what stands before them and all of them read, such as a picture:
    /// [B, T]. A token sees nothing of other documents, and the positions of each go on from what they share. Null where a row is one text.
    /// </summary>
    public int[]? Documents { get; init; }

    /// <summary>The target that the loss leaves out.</summary>
    public const long IgnoredTarget = -100;

    /// <summary>The input where the model reads a picture and not a token.</summary>
    public const long ImagePlaceholder = -1;

    /// <summary>The number of predicted tokens: the weight of the batch in a mean loss over several batches.</summary>
    public int Predictions => Targets.Count(target => target != IgnoredTarget);

    /// <summary>Which of all rows a rank has; the numbers of two ranks differ by at most one.</summary>
    internal static (int First, int End) RowsOf(int rank, int ranks, int rows) => (rows * rank / ranks, rows * (rank + 1) / ranks);

    /// <summary>The rows of one of several ranks.</summary>
    internal Batch Share(int rank, int ranks)
    {
        if (ranks == 1) return this;
        var (first, end) = RowsOf(rank, ranks, Rows);
        // With fewer rows than ranks, some read one without targets: the others wait for their gradients.
        if (first == end) return Share(0, Rows) with { Targets = [.. Enumerable.Repeat(IgnoredTarget, Columns)] };
        var segments = (Starts?.Count ?? 0) / Rows;
        return new Batch(Inputs[(first * Columns)..(end * Columns)], Targets[(first * Columns)..(end * Columns)], end - first, Columns)
        {
            PieceEnds = PieceEnds?[(first * Columns)..(end * Columns)],
            Documents = Documents?[(first * Columns)..(end * Columns)],
            Starts = Starts is null ? null : [.. Starts.Skip(first * segments).Take((end - first) * segments)],
            Pictures = Pictures?.Slice(PicturesOf(0, first), PicturesOf(first, end)),
            Pixels = Pixels?.Slice(PicturesOf(0, first), PicturesOf(first, end)),
            PlacesOfPicture = PlacesOfPicture,
            Sorts = Sorts is null ? null : [.. Sorts.Skip(first).Take(end - first)],
        };
    }

    /// <summary>How many places stand for a picture: one, until a model reads the batch.</summary>
    internal int PlacesOfPicture { get; private init; } = 1;

    // How many the rows from the first to before the end have.
    private int PicturesOf(int first, int end) =>
        Inputs.AsSpan((first * Columns)..(end * Columns)).Count(ImagePlaceholder) / PlacesOfPicture;

    /// <summary>The batch as a model reads it: as many placeholders of each picture as it has vectors, and the pictures' pixels.</summary>
    /// <param name="vision">How the model reads pictures.</param>
    internal Batch ReadBy(VisionConfig vision)
    {
        if (Pictures is null) return this;
        var more = vision.Placeholders - 1;
        int[] lengths = [.. Enumerable.Range(0, Rows).Select(row => Columns + more * PicturesOf(row, row + 1))];
        var columns = lengths.Max();
        var wide = new Batch(new long[Rows * columns], new long[Rows * columns], Rows, columns)
        {
            Pixels = new(
                PicturePixels.LevelsOf(Pictures.Distinct, vision.Image), vision.Image.Size, Pictures.Of),
            PlacesOfPicture = vision.Placeholders,
            Sorts = Sorts,
            Documents = Documents is null ? null : new int[Rows * columns],
        };
        Array.Fill(wide.Targets, IgnoredTarget);
        for (var row = 0; row < Rows; row++)
        {
            for (var (place, to) = (row * Columns, row * columns); place < (row + 1) * Columns; place++)
            {
                if (Inputs[place] == ImagePlaceholder)
                {
                    wide.Inputs.AsSpan(to, more).Fill(ImagePlaceholder);
                    wide.Documents?.AsSpan(to, more).Fill(Documents![place]);
                    to += more;
                }
                (wide.Inputs[to], wide.Targets[to]) = (Inputs[place], Targets[place]);
                if (wide.Documents is not null) wide.Documents[to] = Documents![place];
                to++;
            }
            // Padding is a document of its own.
            if (wide.Documents is not null) wide.Documents.AsSpan((row * columns + lengths[row])..((row + 1) * columns)).Fill(int.MaxValue);
        }
        return wide;
    }

    /// <summary>
    /// The same with each picture once: rows that begin with the same picture, have no other and predict nothing there become documents
    /// of one row behind it, so that the model reads the picture once for all of them. The loss and its gradient stay what they are.
    /// </summary>
    internal Batch WithPicturesShared()
    {
        if (Pictures is null) return this;
        int[] before = [.. Enumerable.Range(0, Rows).Select(row => PicturesOf(0, row))];
        var groups = Enumerable.Range(0, Rows)
            .GroupBy(row => BeginsWithItsPicture(row) ? Pictures.Of[before[row]] : -1 - row).Select(group => group.ToArray()).ToArray();
        if (groups.Length == Rows) return this;
        var own = Columns - 1;
        var columns = 1 + own * groups.Max(group => group.Length);
        var shared = new Batch(new long[groups.Length * columns], new long[groups.Length * columns], groups.Length, columns)
        {
            Documents = [.. Enumerable.Range(0, groups.Length * columns).Select(place => (place % columns + own - 1) / own)],
            Pictures = new(
                Pictures.Distinct,
                [.. groups.SelectMany(group => Pictures.Of.Skip(before[group[0]]).Take(PicturesOf(group[0], group[0] + 1)))]),
        };
        Array.Fill(shared.Targets, IgnoredTarget);
        foreach (var (to, group) in groups.Index())
        {
            shared.Inputs[to * columns] = Inputs[group[0] * Columns];
            shared.Targets[to * columns] = Targets[group[0] * Columns];
            foreach (var (document, row) in group.Index())
            {
                var (from, at) = (row * Columns + 1, to * columns + 1 + document * own);
                Inputs.AsSpan(from, own).CopyTo(shared.Inputs.AsSpan(at));
                Targets.AsSpan(from, own).CopyTo(shared.Targets.AsSpan(at));
            }
        }
        return shared;

        bool BeginsWithItsPicture(int row) => (Inputs[row * Columns], Targets[row * Columns]) == (ImagePlaceholder, IgnoredTarget)
            && PicturesOf(row, row + 1) == 1;
    }

    /// <summary>
    /// Reads the windows that start at the offsets. A window past the end of the tokens is padded with token 0 and ignored targets.
    /// </summary>
    internal static Batch Read(TokenSequence tokens, ReadOnlySpan<long> offsets, int columns)
    {
        var batch = new Batch(new long[offsets.Length * columns], new long[offsets.Length * columns], offsets.Length, columns);
        for (var row = 0; row < offsets.Length; row++)
        {
            var length = (int)Math.Min(columns, tokens.Length - 1 - offsets[row]);
            var targets = batch.Targets.AsSpan(row * columns, columns);
            tokens.Read(offsets[row], batch.Inputs.AsSpan(row * columns, length));
            tokens.Read(offsets[row] + 1, targets[..length]);
            targets[length..].Fill(IgnoredTarget);
        }
        return batch;
    }

    /// <summary>Reads segments, some a row; behind shorter ones is padding with token 0 and ignored targets.</summary>
    /// <param name="segments">The text.</param>
    /// <param name="rows">B.</param>
    /// <param name="columns">K.</param>
    /// <param name="at">For a row and a column which segment it is, and whether it begins a text whatever the text says.</param>
    internal static Batch Read(TextSegments segments, int rows, int columns, Func<int, int, (long Segment, bool Begins)> at)
    {
        var (width, starts) = (segments.Length * columns, new bool[rows * columns]);
        var batch = new Batch(new long[rows * width], new long[rows * width], rows, width) { Starts = starts };
        Array.Fill(batch.Targets, IgnoredTarget);
        for (var i = 0; i < starts.Length; i++)
        {
            var (segment, begins) = at(i / columns, i % columns);
            var (place, length) = (i * segments.Length, segments.Length);
            starts[i] = segments.Read(segment, batch.Inputs.AsSpan(place, length), batch.Targets.AsSpan(place, length)) | begins;
        }
        return batch;
    }
}
