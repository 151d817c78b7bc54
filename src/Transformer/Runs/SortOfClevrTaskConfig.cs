using Transformer.Configuration;

namespace Transformer.Runs;

/// <summary>
/// Sort-of-CLEVR (Santoro et al. 2017, arXiv:1706.01427): pictures of 75 x 75 pixels with six objects, each a square or a circle with a
/// colour of its own, and twenty questions about each: ten about one object (its shape, on the left or not, at the top or not) and ten
/// about how objects relate (the shape of the nearest and of the furthest one, how many have the same shape). A question is two words, what
/// is asked and the colour of the object; the answer is one.
/// </summary>
public sealed record SortOfClevrTaskConfig : PictureTaskConfig
{
    private const int QuestionsPerPicture = 20;

    /// <summary>The number of pictures to train on, each once per epoch; null: fresh pictures without end.</summary>
    public override int? Pictures { get; init; } = 9800;

    /// <summary>
    /// How many questions about a picture training draws together, so that a batch has fewer pictures to read: a divisor of 20. Every two
    /// of them are one about an object and one about relations.
    /// </summary>
    public int QuestionsAtOnce { get; init; } = 4;

    /// <summary>The picture and the two words of a question.</summary>
    public override int Length => 3;

    internal override int RowsPerPicture => QuestionsPerPicture;

    internal override int RowsAtOnce => QuestionsAtOnce;

    private protected override IEnumerable<ConfigProblem> OwnProblems()
    {
        foreach (var problem in base.OwnProblems()) yield return problem;
        if (QuestionsAtOnce < 1 || QuestionsPerPicture % QuestionsAtOnce != 0)
            yield return new(
                "questions_at_once", $"found {QuestionsAtOnce}, expected a divisor of {QuestionsPerPicture}: 1, 2, 4, 5, 10 or 20");
    }
}
