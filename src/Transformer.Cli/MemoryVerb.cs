using System.CommandLine;
using Transformer.Configuration;
using Transformer.Conversations;
using Transformer.Files;

namespace Transformer.Cli;

/// <summary><c>memory</c>: keeps conversations in a file and finds their turns again.</summary>
internal static class MemoryVerb
{
    /// <summary>What the verb is called.</summary>
    public const string Name = "memory";

    private static readonly Argument<string> Database = new("DB") { Description = "The memory, an SQLite file." };
    private static readonly Argument<string> Query = new("QUERY") { Description = "Any text; a turn with one of its words is found." };

    private static readonly Option<string> Conversation = new("--conversation")
    {
        Description = "The conversation's name.",
        HelpName = "NAME",
        Required = true,
    };

    private static readonly Option<string?> OnlyConversation = new("--conversation")
    {
        Description = "The conversation's name; default: all conversations.",
        HelpName = "NAME",
    };

    private static readonly Option<string?> Role = new("--role") { Description = "Who says it, e.g. user.", HelpName = "ROLE" };
    private static readonly Option<string?> Text = new("--text") { Description = "What is said.", HelpName = "TEXT" };

    private static readonly Option<string?> TextFile = new("--file")
    {
        Description = "A text file: with --role what is said, else turns as lines `role: text`, whose further lines are indented.",
        HelpName = "FILE",
    };

    private static readonly Option<int> Count = new Option<int>("--count")
    {
        Description = "The greatest number of turns.",
        HelpName = "N",
        DefaultValueFactory = _ => ConversationMemory.DefaultCount,
    }.Whole(1, 100_000);

    private static readonly Option<long?> Number = new Option<long?>("--turn")
    {
        Description = "The turn's number; default: the whole conversation.",
        HelpName = "N",
    }.Whole(1, long.MaxValue);

    /// <summary>The verb with its subcommands.</summary>
    public static Command Create()
    {
        var add = new Command("add", "Adds turns to the end of a conversation; makes the file where there is none.")
        {
            Database, Conversation, Role, Text, TextFile,
        };
        add.SetAction(Add);
        var search = new Command("search", "Finds turns by their words, the best first.")
        {
            Database, Query, Count, OnlyConversation, SharedOptions.Json,
        };
        search.SetAction(Search);
        var list = new Command("list", "Lists the conversations, or the turns of one.") { Database, OnlyConversation, SharedOptions.Json };
        list.SetAction(List);
        var forget = new Command("forget", "Removes a turn or a whole conversation for good.") { Database, Conversation, Number };
        forget.SetAction(Forget);
        return new Command(Name, "Keeps conversations in a file and finds their turns again.") { add, search, list, forget };
    }

    private static void Add(ParseResult request)
    {
        var name = request.GetRequiredValue(Conversation);
        var turns = TurnsOf(request);
        foreach (var (role, text) in turns) ConversationMemory.Check(name, role, text);    // before there is a file
        using var memory = ConversationMemory.OpenOrCreate(request.GetRequiredValue(Database));
        var added = memory.Add(name, turns);
        request.InvocationConfiguration.Output.WriteLine(
            $"{name}: added turn{(added.Count == 1 ? "" : $"s {added[0].Number} to")} {added[^1].Number}");
    }

    private static IReadOnlyList<(string Role, string Text)> TurnsOf(ParseResult request)
    {
        var (role, text, path) = (request.GetValue(Role), request.GetValue(Text), request.GetValue(TextFile));
        if (text is not null && path is not null) throw new InputException("--text and --file: both give what is said; leave one out.");
        if (path is not null)
        {
            var content = Utf8File.Read(path, "what is said");
            return role is null ? TurnLines.Parse(content, path) : [(role, content.TrimEnd('\r', '\n'))];
        }
        return role is not null && text is not null ? [(role, text)]
            : throw new InputException("--text: found nothing to add, expected --role and --text, --role and --file, or --file.");
    }

    private static void Search(ParseResult request)
    {
        var query = request.GetRequiredValue(Query);
        var name = request.GetValue(OnlyConversation);
        using var memory = ConversationMemory.Open(request.GetRequiredValue(Database));
        if (name is not null) RequireKnown(memory, request, name);
        var found = memory.Search(query, request.GetValue(Count), name);
        var output = request.InvocationConfiguration.Output;
        if (request.GetValue(SharedOptions.Json))
        {
            ScriptJson.Write(output, new
            {
                Query = query,
                Turns = found.Select(one => new
                {
                    one.Turn.Conversation,
                    one.Turn.Number,
                    one.Turn.Role,
                    one.Turn.Text,
                    one.Turn.Time,
                    one.Score,
                    one.Passage,
                }),
            });
            return;
        }
        foreach (var (turn, score, passage) in found)
            output.WriteLine($"{score,6:f2}  {turn}  {turn.Role}: {passage.ReplaceLineEndings(" ")}");
        if (found.Count == 0) request.InvocationConfiguration.Error.WriteLine("No turn has one of these words.");
    }

    private static void List(ParseResult request)
    {
        using var memory = ConversationMemory.Open(request.GetRequiredValue(Database));
        var output = request.InvocationConfiguration.Output;
        var json = request.GetValue(SharedOptions.Json);
        if (request.GetValue(OnlyConversation) is not { } name)
        {
            var conversations = memory.Conversations();
            if (json) ScriptJson.Write(output, new { Conversations = conversations });
            else
                foreach (var (called, count, first, last) in conversations)
                    output.WriteLine($"{called}  {count:n0} turn{(count == 1 ? "" : "s")}, {Shown(first)} to {Shown(last)}");
            if (conversations.Count == 0) request.InvocationConfiguration.Error.WriteLine("There are no conversations.");
            return;
        }
        RequireKnown(memory, request, name);
        var turns = memory.Turns(name);
        if (json)
        {
            ScriptJson.Write(output, new
            {
                Conversation = name,
                Turns = turns.Select(turn => new { turn.Number, turn.Role, turn.Text, turn.Time }),
            });
        }
        else
            foreach (var turn in turns) output.WriteLine($"{turn.Number,5}  {turn.Line.ReplaceLineEndings("\n       ")}");
    }

    private static void Forget(ParseResult request)
    {
        var (name, number) = (request.GetRequiredValue(Conversation), request.GetValue(Number));
        using var memory = ConversationMemory.Open(request.GetRequiredValue(Database));
        var forgotten = memory.Forget(name, number);
        if (forgotten == 0)
        {
            RequireKnown(memory, request, name);
            var list = ShellCommand.Of(Name, "list", request.GetRequiredValue(Database), "--conversation", name);
            throw new InputException($"--turn: {name} has no turn {number}; {list} shows what it has.");
        }
        request.InvocationConfiguration.Output.WriteLine(
            number is null ? $"{name}: forgot {forgotten} turn{(forgotten == 1 ? "" : "s")}" : $"{name}: forgot turn {number}");
    }

    private static void RequireKnown(ConversationMemory memory, ParseResult request, string name)
    {
        var names = memory.Conversations().Select(one => one.Name).ToList();
        if (names.Contains(name)) return;
        var nearest = Spelling.Nearest(name, names);
        throw new InputException($"--conversation: there is none called {name}" + (nearest is null
            ? $"; {ShellCommand.Of(Name, "list", request.GetRequiredValue(Database))} shows them." : $"; did you mean {nearest}?"));
    }

    private static string Shown(DateTime time) => time.ToString("yyyy-MM-dd HH:mm'Z'");
}
