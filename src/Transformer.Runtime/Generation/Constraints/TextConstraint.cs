using Transformer.Configuration;

namespace Transformer.Generation.Constraints;

/// <summary>
/// What a generated text must match as a whole. During generation only tokens are allowed with which it still can (Willard and Louf 2023,
/// arXiv:2307.09702), and the text ends when nothing else can follow.
/// </summary>
public sealed class TextConstraint
{
    private readonly Func<ExpressionTable, Expression> read;

    private TextConstraint(string name, TextConstraintSource source, Func<ExpressionTable, Expression> read)
    {
        (Source, this.read) = (source, read);
        try
        {
            ToAutomaton();
        }
        catch (InputException e)
        {
            throw new InputException($"{name}: {e.Message}", e);
        }
    }

    /// <summary>Texts that match a regular expression from their beginning to their end.</summary>
    /// <param name="pattern">Characters, <c>.</c>, classes, <c>\d \w \s \D \W \S</c> (of ASCII), <c>\t \n \r \f \v \xHH \uHHHH</c>,
    /// groups, <c>|</c>, <c>* + ? {m} {m,} {m,n}</c>.</param>
    /// <exception cref="InputException">The pattern is not one of this kind.</exception>
    public static TextConstraint Regex(string pattern) =>
        new("regex", new(IsSchema: false, pattern), table => RegexParser.Parse(table, pattern));

    /// <summary>Texts that are JSON and valid by a schema.</summary>
    /// <param name="schema">A JSON Schema with <c>type</c>, <c>properties</c>, <c>required</c>, <c>items</c>, <c>minItems</c>,
    /// <c>maxItems</c>, <c>minLength</c>, <c>maxLength</c>, <c>pattern</c>, <c>enum</c>, <c>const</c>, <c>anyOf</c>, and <c>$ref</c> to
    /// what does not contain itself.</param>
    /// <exception cref="InputException">The text is no schema, or has keywords that cannot be expressed; the message has the
    /// path.</exception>
    public static TextConstraint JsonSchema(string schema) =>
        new("JSON schema", new(IsSchema: true, schema), table => JsonSchemaReader.Read(table, schema));

    /// <summary>What it was made of.</summary>
    internal TextConstraintSource Source { get; }

    /// <summary>A new automaton of the texts.</summary>
    internal Automaton ToAutomaton()
    {
        var table = new ExpressionTable();
        return new Automaton(table, read(table));
    }
}
