namespace Transformer.Generation.Constraints;

/// <summary>
/// The deterministic automaton of an expression, built lazily. Its states are expressions: after a byte comes the expression's derivative
/// (Brzozowski 1964), here as a choice of partial derivatives (Antimirov 1996), of which there are at most as many as byte positions in the
/// expression with its repeats written out. Bytes that no part of the expression distinguishes form one class (Owens, Reppy and Turon
/// 2009). Not safe for several threads.
/// </summary>
internal sealed class Automaton
{
    // Approximate bytes with their table entries; for derivatives, the weight stands for time rather than memory.
    private const int BytesOfDerivative = 50, BytesOfAlternative = 50, BytesOfState = 100, BytesOfSuccessor = 16;

    private readonly ExpressionTable table;
    private readonly Dictionary<Expression, AutomatonState> states = [];
    private readonly Dictionary<(Expression, byte), Expression[]> derivatives = [];
    private readonly int[] classOf = new int[256];
    private readonly int byteClasses = 1;

    /// <param name="table">The table of the expression.</param>
    /// <param name="expression">What a whole text must be.</param>
    public Automaton(ExpressionTable table, Expression expression)
    {
        this.table = table;
        foreach (var set in table.ByteSets)
        {
            var split = new Dictionary<(int, bool), int>();
            for (var value = 0; value < 256; value++)
            {
                var part = (classOf[value], set.Contains(value));
                split.TryAdd(part, split.Count);
                classOf[value] = split[part];
            }
            byteClasses = split.Count;
        }
        Start = StateOf(expression);
    }

    /// <summary>The state of the empty text.</summary>
    public AutomatonState Start { get; }

    /// <summary>The number of states so far.</summary>
    public int States => states.Count;

    /// <summary>The state after one more byte; null where no text goes on with it.</summary>
    /// <exception cref="Configuration.InputException">The expression has too many states.</exception>
    public AutomatonState? Next(AutomatonState state, byte value)
    {
        ref var successor = ref state.Successors[classOf[value]];
        if (!successor.IsKnown) successor = new(IsKnown: true, After(state, value));
        return successor.State;
    }

    /// <summary>The state after more bytes; null where no text goes on with them.</summary>
    public AutomatonState? Next(AutomatonState state, ReadOnlySpan<byte> bytes)
    {
        AutomatonState? reached = state;
        for (var i = 0; i < bytes.Length && reached is not null; i++) reached = Next(reached, bytes[i]);
        return reached;
    }

    /// <summary>Counts bytes that are kept beside a state.</summary>
    /// <exception cref="Configuration.InputException">The expression has too many states.</exception>
    public void Spend(int bytes) => table.Spend(bytes);

    private AutomatonState? After(AutomatonState state, byte value) => Derivatives(state.Rest, value) switch
    {
        [] => null,
        var some => StateOf(table.Choice([.. some.OrderBy(expression => expression.Id)])),
    };

    private AutomatonState StateOf(Expression expression)
    {
        if (states.TryGetValue(expression, out var known)) return known;
        Spend(BytesOfState + BytesOfSuccessor * byteClasses);
        return states[expression] = new(expression, byteClasses);
    }

    private Expression[] Derivatives(Expression expression, byte value)
    {
        if (derivatives.TryGetValue((expression, value), out var known)) return known;
        var found = Derive(expression, value);
        Spend(BytesOfDerivative + BytesOfAlternative * found.Length);
        return derivatives[(expression, value)] = found;
    }

    private Expression[] Derive(Expression expression, byte value) => expression switch
    {
        ByteExpression one => one.Bytes.Contains(value) ? [table.Empty] : [],
        ChoiceExpression choice => Union(Derivatives(choice.First, value), Derivatives(choice.Second, value)),
        SequenceExpression { First.AcceptsEmpty: true } sequence =>
            Union(Then(Derivatives(sequence.First, value), sequence.Second), Derivatives(sequence.Second, value)),
        SequenceExpression sequence => Then(Derivatives(sequence.First, value), sequence.Second),
        RepeatedExpression repeated =>
            Then(Derivatives(repeated.Body, value), table.Repeat(repeated.Body, Math.Max(0, repeated.Least - 1), repeated.Most - 1)),
        _ => [],
    };

    private Expression[] Then(Expression[] first, Expression second) =>
        Array.ConvertAll(first, expression => table.Sequence(expression, second));

    private static Expression[] Union(Expression[] a, Expression[] b) => a.Length == 0 ? b : b.Length == 0 ? a : [.. a.Union(b)];
}
