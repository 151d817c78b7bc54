using Transformer.Runs;

namespace Transformer.Data.Tasks;

/// <summary>
/// Induction heads (Olsson et al. 2022), in the form of Dao et al. 2022 (arXiv:2212.14052): c a * b a c *, to be answered by b. The star
/// stands twice, the first time anywhere before the symbol that it asks for.
/// </summary>
internal sealed class InductionHeadsTask(InductionHeadsTaskConfig config) : SequenceTask
{
    private readonly int star = config.Symbols;

    public override IReadOnlyList<string> Words { get; } = Numbered(config.Symbols, "*");

    public override long Tokens(int length) => length;

    public override void Write(TaskRow row, int length, RowRandom random)
    {
        var text = Enumerable.Range(0, length).Select(_ => random.Below(config.Symbols)).ToArray();
        var first = random.Below(length - 2);
        (text[first], text[^1]) = (star, star);
        foreach (var token in text) row.Give(token);
        row.Ask(text[first + 1]);
    }
}
