namespace Transformer.Generation.Constraints;

/// <summary>
/// A regular expression over bytes. An <see cref="ExpressionTable"/> creates equal ones only once, so that equality is identity.
/// </summary>
/// <param name="id">Its number in the table.</param>
/// <param name="acceptsEmpty">Whether the empty text matches.</param>
internal abstract class Expression(int id, bool acceptsEmpty)
{
    /// <summary>Its number in the table.</summary>
    public int Id => id;

    /// <summary>Whether the empty text matches.</summary>
    public bool AcceptsEmpty => acceptsEmpty;
}

/// <summary>The empty text.</summary>
internal sealed class EmptyExpression(int id) : Expression(id, acceptsEmpty: true);

/// <summary>One byte of a set.</summary>
internal sealed class ByteExpression(int id, ByteSet bytes) : Expression(id, acceptsEmpty: false)
{
    public ByteSet Bytes => bytes;
}

/// <summary>One expression and then another.</summary>
internal sealed class SequenceExpression(int id, Expression first, Expression second)
    : Expression(id, first.AcceptsEmpty && second.AcceptsEmpty)
{
    public Expression First => first;

    public Expression Second => second;
}

/// <summary>One expression or another.</summary>
internal sealed class ChoiceExpression(int id, Expression first, Expression second)
    : Expression(id, first.AcceptsEmpty || second.AcceptsEmpty)
{
    public Expression First => first;

    public Expression Second => second;
}

/// <summary>An expression repeated; without an upper bound where the most is null.</summary>
internal sealed class RepeatedExpression(int id, Expression body, int least, int? most) : Expression(id, least == 0 || body.AcceptsEmpty)
{
    public Expression Body => body;

    public int Least => least;

    public int? Most => most;
}
