using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Transformer.Configuration;
using Transformer.Generation.Constraints;

namespace Transformer.Tests.Generation.Constraints;

public sealed class TextConstraintJsonSchemaTests
{
    internal const string Person = """
        {"$defs": {"address": {"type": "object", "required": ["street"],
                               "properties": {"street": {"type": "string", "minLength": 1, "maxLength": 6},
                                              "number": {"type": "integer"}}}},
         "type": "object", "title": "A person",
         "properties": {"name": {"type": "string", "pattern": "^[A-Z\"\\\\é][a-z]{1,4}$"}, "age": {"type": ["integer", "null"]},
                        "höhe": {"type": "number"},
                        "tags": {"type": "array", "items": {"enum": ["a", "b\n", 3, null, {"x": [1, true]}]}, "minItems": 1, "maxItems": 3},
                        "home": {"anyOf": [{"$ref": "#/$defs/address"}, {"const": "none"}]}, "ok": {"type": "boolean"}},
         "required": ["name", "tags"], "additionalProperties": false}
        """;

    public static TheoryData<string> Schemas =>
    [
        Person,
        """{"type": "string", "maxLength": 8}""",
        """{"type": "string", "pattern": "b|^a"}""",
        """{"type": "array", "items": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2}, "maxItems": 3}""",
        """{"type": "array", "maxItems": 0}""",
        """{"type": "object"}""",
        """{"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}, "c": {"type": "null"}}}""",
        """{"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}, "c": {"type": "null"}}, "required": ["b"]}""",
        """{"type": "number"}""",
        """{"enum": ["x", 1.50, [], {}, false]}""",
        """{"anyOf": [{"type": "integer"}, {"type": "object", "properties": {"n": {"$ref": "#/anyOf/0"}}, "required": ["n"]}]}""",
    ];

    // Random walks of allowed bytes, validated by another implementation.
    [Theory]
    [MemberData(nameof(Schemas))]
    public void Every_text_of_a_schema_is_JSON_and_valid_by_it(string schema)
    {
        var (automaton, judge, random) = (
            TextConstraint.JsonSchema(schema).ToAutomaton(), Json.Schema.JsonSchema.FromText(schema), new Random(1337));
        var texts = new HashSet<string>();
        for (var n = 0; n < 500; n++)
        {
            var text = Walk(automaton, random);
            using var json = JsonDocument.Parse(text);
            Assert.True(judge.Evaluate(json.RootElement).IsValid, text);
            texts.Add(text);
        }
        Assert.True(texts.Count > 2, string.Join('\n', texts));
    }

    [Theory]
    [InlineData("""{"name": "Ab", "tags": ["a"]}""", true)]
    [InlineData("""{"name":"Ab","tags":["a"]}""", true)]
    [InlineData(""" { "name" : "Ab" , "tags" : [ "a" , null ] } """, false)]    // nothing after the end
    [InlineData(""" { "name" : "Ab" , "tags" : [ "a" , null ] }""", true)]
    [InlineData(
        """{"name": "\"b", "age": null, "höhe": -0.5e3, "tags": ["b\n", {"x":[1,true]}], "home": {"street": "\u00e9\\"}, "ok": true}""",
        true)]
    [InlineData("""{"name": "\\bc", "tags": [3], "home": "none"}""", true)]
    [InlineData("""{"tags": ["a"], "name": "Ab"}""", false)]    // another order
    [InlineData("""{"name": "Ab"}""", false)]
    [InlineData("""{"name": "ab", "tags": ["a"]}""", false)]
    [InlineData("""{"name": "Ab", "tags": []}""", false)]
    [InlineData("""{"name": "Ab", "tags": ["a", "a", "a", "a"]}""", false)]
    [InlineData("""{"name": "Ab", "age": 01, "tags": ["a"]}""", false)]
    [InlineData("""{"name": "Ab", "tags": ["a"], "home": {"number": 3}}""", false)]
    [InlineData("""{"name": "Ab", "tags": ["a"], "home": {"street": "1234567"}}""", false)]
    [InlineData("""{"name": "Ab", "tags": ["a"], "home": {"street": "\ud83d"}}""", false)]
    [InlineData("""{"name": "Ab", "tags": ["a"],}""", false)]
    [InlineData("""{"name": "Ab", "tags": ["a"], "more": 1}""", false)]
    public void What_a_schema_allows_is_what_is_written_down(string text, bool allowed)
    {
        var automaton = TextConstraint.JsonSchema(Person).ToAutomaton();
        Assert.Equal(allowed, automaton.Next(automaton.Start, Encoding.UTF8.GetBytes(text)) is { Accepts: true });
    }

    // ECMA-262's semantics, written out for .NET, and .NET's two. Characters on which they differ must not match; those named must.
    [Theory]
    [InlineData(".", @"[^\n\r\u2028\u2029]", "a é€–")]
    [InlineData(@"\S", @"[^\t-\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]", "aé€–日")]
    [InlineData(@"\s", @"[\t-\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]", " \t\n")]
    [InlineData(@"\W", "[^0-9A-Za-z_]", "-. €–→")]
    [InlineData(@"\w", "[0-9A-Za-z_]", "aZ_0")]
    [InlineData(@"\D", "[^0-9]", "aé日–")]
    [InlineData(@"\d", "[0-9]", "0359")]
    [InlineData(@"[^\s]", @"[^\t-\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]", "aé€–日")]
    [InlineData(@"[^\S\n]", @"[\t\v-\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]", " \t")]
    [InlineData(@"[^\w,]", "[^0-9A-Za-z_,]", "-. €–→")]
    [InlineData(@"[^\W_]", "[0-9A-Za-z]", "aZ0")]
    [InlineData(@"[^\da]", "[^0-9a]", "bé日–")]
    [InlineData(@"[^a]\x21?", "[^a]", "bé日–\u00a0\u2028")]
    public void A_pattern_of_a_schema_takes_what_every_dialect_takes(string pattern, string standard, string taken)
    {
        var schema = new JsonObject { ["type"] = "string", ["pattern"] = $"^{pattern}$" };
        var automaton = TextConstraint.JsonSchema(schema.ToJsonString()).ToAutomaton();
        Regex[] judges = [new($@"\A(?:{standard})\z"), new($@"\A(?:{pattern})\z"), new($@"\A(?:{pattern})\z", RegexOptions.ECMAScript)];
        for (var character = '\0'; character < '\uffff'; character++)
        {
            if (char.IsSurrogate(character)) continue;
            var spelt = character switch
            {
                '"' or '\\' => $"\\{character}",
                '\t' => "\\t",
                '\n' => "\\n",
                '\r' => "\\r",
                '\f' => "\\f",
                '\b' => "\\b",
                < ' ' => $"\\u{(int)character:x4}",
                _ => $"{character}",
            };
            var takes = automaton.Next(automaton.Start, Encoding.UTF8.GetBytes($"\"{spelt}\"")) is { Accepts: true };
            if (takes) Assert.All(judges, judge => Assert.True(judge.IsMatch($"{character}"), $"U+{(int)character:X4} by {judge}"));
            if (taken.Contains(character)) Assert.True(takes, $"U+{(int)character:X4}");
        }
    }

    [Theory]
    [InlineData("""{"type": "integer", "minimum": 3}""", "JSON schema: #/minimum: not supported here")]
    [InlineData(
        """{"type": "object", "properties": {"a": {"type": "string", "format": "date"}}}""",
        "#/properties/a/format: not supported here")]
    [InlineData("""{"oneOf": [{"type": "null"}]}""", "#/oneOf: not supported here")]
    [InlineData("""{"allOf": [{"type": "null"}]}""", "#/allOf: not supported here")]
    [InlineData("""{"type": "integer", "maxLength": 3}""", "#/maxLength: not supported here, expected type alone")]
    [InlineData("""{"type": "array"}""", "#/items: missing")]
    [InlineData("""{"type": "array", "items": true}""", "#/items: found true, expected a schema with a type")]
    [InlineData("""{"type": "array", "items": {"type": "null"}, "uniqueItems": true}""", "#/uniqueItems: not supported here")]
    [InlineData(
        """{"type": "array", "items": {"type": "null"}, "minItems": 3, "maxItems": 2}""",
        "#/maxItems: found 2, expected 3 or more")]
    [InlineData("""{"type": "string", "minLength": -1}""", "#/minLength: found -1, expected an integer, 0 or more")]
    [InlineData("""{"type": "string", "minLength": 1, "pattern": "a"}""", "#/pattern: not supported beside minLength or maxLength")]
    [InlineData("""{"type": "string", "pattern": "(a"}""", "#/pattern: position 0 of the pattern: '(' without ')'")]
    [InlineData("""{"type": "text"}""", "#/type: found \"text\", expected one of object, array")]
    [InlineData("""{"type": []}""", "#/type: found no type")]
    [InlineData("{}", "#/type: missing")]
    [InlineData("""{"enum": []}""", "#/enum: found none")]
    [InlineData("""{"enum": "a"}""", "#/enum: found \"a\", expected an array")]
    [InlineData("""{"type": "integer", "enum": [1, "a"]}""", "#: \"a\" is not of type integer")]
    [InlineData("""{"anyOf": []}""", "#/anyOf: found none")]
    [InlineData("""{"anyOf": [{"type": "null"}, 3]}""", "#/anyOf/1: found 3")]
    [InlineData(
        """{"type": "object", "properties": {"a": {"type": "null"}}, "required": ["b"]}""",
        "#/required: \"b\" is not among the properties")]
    [InlineData("""{"type": "object", "additionalProperties": {"type": "null"}}""", "#/additionalProperties: a schema of other properties")]
    [InlineData("""{"type": "object", "properties": {"next": {"$ref": "#"}}}""", "#/properties/next/$ref: \"#\" contains itself")]
    [InlineData(
        """{"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}""",
        "#/$defs/b/$ref: \"#/$defs/a\" contains itself")]
    [InlineData("""{"$ref": "#/$defs/a"}""", "#/$ref: \"#/$defs/a\" is not there")]
    [InlineData("""{"$ref": "http://example.org/a"}""", "is not supported, expected a place in this schema")]
    [InlineData("[]", "#: found []")]
    [InlineData("null", "#: found null")]
    [InlineData("{", "not valid JSON")]
    [InlineData("""{"type": "null", "type": "null"}""", "not valid JSON")]
    [InlineData("""{"const": "\ud800"}""", "not valid JSON")]
    public void What_cannot_be_expressed_is_refused_with_its_place(string schema, string expected) =>
        Assert.Contains(expected, Assert.Throws<InputException>(() => TextConstraint.JsonSchema(schema)).Message);

    [Fact]
    public void Schemas_within_schemas_end_somewhere()
    {
        var deep = string.Concat(Enumerable.Repeat("""{"type":"array","items":""", 1000)) + "{}";
        Assert.Contains("not valid JSON", Assert.Throws<InputException>(() => TextConstraint.JsonSchema(deep)).Message);
        var chain = new JsonObject(Enumerable.Range(0, 1000)
            .Select(n => KeyValuePair.Create($"{n}", (JsonNode?)new JsonObject { ["$ref"] = $"#/$defs/{n + 1}" })));
        Assert.Contains("schemas within schemas, expected 100 at most", Assert.Throws<InputException>(
            () => TextConstraint.JsonSchema(new JsonObject { ["$defs"] = chain, ["$ref"] = "#/$defs/0" }.ToJsonString())).Message);
    }

    // Each definition has two of the next one: written out they would be a billion.
    [Fact]
    public void A_definition_that_stands_often_is_read_once()
    {
        var definitions = new JsonObject { ["30"] = new JsonObject { ["type"] = "null" } };
        for (var n = 0; n < 30; n++)
            definitions[$"{n}"] = JsonNode.Parse(
                $$$"""{"type": "object", "properties": {"a": {"$ref": "#/$defs/{{{n + 1}}}"}, "b": {"$ref": "#/$defs/{{{n + 1}}}"} } }""");
        var automaton = TextConstraint.JsonSchema(new JsonObject { ["$defs"] = definitions, ["$ref"] = "#/$defs/0" }.ToJsonString())
            .ToAutomaton();
        Assert.NotNull(automaton.Next(automaton.Start, """{"a": {"b": {"a": {"""u8));
    }

    // Bytes that can follow, drawn at random; after many of them the shortest way to the end is taken.
    internal static string Walk(Automaton automaton, Random random, int longest = 60)
    {
        var (state, bytes) = (automaton.Start, new List<byte>());
        while (!(state.Accepts && random.Next(3) == 0))
        {
            var next = Enumerable.Range(0, 256).Select(value => (Value: (byte)value, State: automaton.Next(state, (byte)value)))
                .Where(pair => pair.State is not null).ToList();
            if (next.Count == 0) break;
            if (bytes.Count > longest)
            {
                bytes.AddRange(WayOut(automaton, state));
                break;
            }
            // Quotation marks and brackets close what is open; else a string would hardly ever end.
            var ending = next.Where(pair => "\"}],:0".Contains((char)pair.Value)).ToList();
            var (value, reached) = ending.Count > 0
                && random.Next(2) == 0 ? ending[random.Next(ending.Count)] : next[random.Next(next.Count)];
            bytes.Add(value);
            state = reached!;
        }
        return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString([.. bytes]);
    }

    private static IEnumerable<byte> WayOut(Automaton automaton, AutomatonState from)
    {
        var (seen, queue) = (new HashSet<AutomatonState> { from }, new Queue<(AutomatonState State, byte[] Way)>([(from, [])]));
        while (queue.TryDequeue(out var at))
        {
            if (at.State.Accepts) return at.Way;
            for (var value = 0; value < 256; value++)
                if (automaton.Next(at.State, (byte)value) is { } next && seen.Add(next)) queue.Enqueue((next, [.. at.Way, (byte)value]));
        }
        throw new InvalidOperationException("no way out");
    }
}
