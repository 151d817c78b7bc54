using System.Text;
using Transformer.Configuration;

namespace Transformer.Generation.Constraints;

/// <summary>
/// Creates expressions, each once. Counted repeats are kept as counts, so that <c>a{1000}</c> is no larger than <c>a*</c>.
/// </summary>
internal sealed class ExpressionTable
{
    // Four hostile expressions kept 23 to 87 MB when they were refused, after 0.1 to 1.7 s on two cores shared with other work.
    private const int MostBytes = 100_000_000, BytesOfExpression = 100;

    private readonly Dictionary<(Kind Kind, int First, int Second, int Third), Expression> composed = [];
    private readonly Dictionary<ByteSet, Expression> bytes = [];
    private int spent;

    private enum Kind { Sequence, Choice, Repeated }

    /// <summary>The empty text.</summary>
    public Expression Empty { get; } = new EmptyExpression(0);

    /// <summary>All sets of bytes that occur.</summary>
    public IEnumerable<ByteSet> ByteSets => bytes.Keys;

    /// <summary>One byte of a set, which must not be empty: every expression here matches some text.</summary>
    public Expression Byte(ByteSet set) => bytes.TryGetValue(set, out var known) ? known : bytes[set] = new ByteExpression(NextId(), set);

    /// <summary>A text, in UTF-8.</summary>
    public Expression Text(string text) => Sequence([.. Encoding.UTF8.GetBytes(text).Select(value => Byte(ByteSet.Range(value, value)))]);

    /// <summary>
    /// A sequence of expressions, as a balanced tree, so that its depth is the logarithm of their number.
    /// </summary>
    public Expression Sequence(params ReadOnlySpan<Expression> parts) => parts switch
    {
        [] => Empty,
        [var only] => only,
        _ => Sequence(Sequence(parts[..(parts.Length / 2)]), Sequence(parts[(parts.Length / 2)..])),
    };

    /// <summary>One of several expressions, of which there is at least one.</summary>
    public Expression Choice(params ReadOnlySpan<Expression> alternatives) => alternatives switch
    {
        [var only] => only,
        _ => Choice(Choice(alternatives[..(alternatives.Length / 2)]), Choice(alternatives[(alternatives.Length / 2)..])),
    };

    /// <summary>An expression several times.</summary>
    public Expression Repeat(Expression body, int least, int? most)
    {
        if (most == 0 || body == Empty) return Empty;
        if (least == 1 && most == 1) return body;
        return Compose((Kind.Repeated, body.Id, least, most ?? -1), id => new RepeatedExpression(id, body, least, most));
    }

    /// <summary>An expression or nothing.</summary>
    public Expression Optional(Expression body) => Repeat(body, 0, 1);

    /// <summary>The work budget: counts what is kept, so that no expression can exhaust memory or time.</summary>
    /// <param name="bytes">About how many bytes.</param>
    /// <exception cref="InputException">The budget is exhausted.</exception>
    public void Spend(int bytes)
    {
        spent += bytes;
        if (spent > MostBytes)
            throw new InputException("the constraint has too many states: nested repeats or alternatives with a common beginning can be " +
                "read in too many ways. Write it so that each text has one reading, or shorten it.");
    }

    private Expression Sequence(Expression first, Expression second) =>
        first == Empty ? second
        : second == Empty ? first
        : Compose((Kind.Sequence, first.Id, second.Id, 0), id => new SequenceExpression(id, first, second));

    private Expression Choice(Expression first, Expression second) =>
        first == second ? first : Compose((Kind.Choice, first.Id, second.Id, 0), id => new ChoiceExpression(id, first, second));

    private Expression Compose((Kind, int, int, int) key, Func<int, Expression> make) =>
        composed.TryGetValue(key, out var known) ? known : composed[key] = make(NextId());

    private int NextId()
    {
        Spend(BytesOfExpression);
        return composed.Count + bytes.Count + 1;
    }
}
