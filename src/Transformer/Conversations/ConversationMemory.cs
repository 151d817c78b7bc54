using System.Globalization;
using Microsoft.Data.Sqlite;
using Transformer.Configuration;

namespace Transformer.Conversations;

/// <summary>
/// Conversations in one SQLite file, whose turns are found again by their words: BM25 (Robertson and Zaragoza 2009) over stemmed words,
/// by SQLite's FTS5. Several processes may use a file at once. An instance is for one thread at a time.
/// </summary>
public sealed class ConversationMemory : IDisposable
{
    /// <summary>The turns that a search finds at most, unless it says otherwise.</summary>
    public const int DefaultCount = 10;

    private const int LongestName = 200;    // characters, also of a role

    // A search ranks about as many turns as this: of words that stand in more of them together, the rarest count. A word in half of all
    // turns weighs nothing in BM25 anyway, and ranking 100,000 turns takes longer than a reader waits. Turns of other conversations than
    // the one that is searched are not ranked, and so not counted.
    private const int MostRanked = 10_000;

    private const int PassageTokens = 32;
    private const string Columns = "turns.id, conversation, number, role, turns.text, time", TimeFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z'";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly MemoryFile file;

    internal ConversationMemory(MemoryFile file) => this.file = file;

    /// <summary>Opens a memory that is there.</summary>
    /// <exception cref="InputException">There is none, or the file is something else or of another version.</exception>
    public static ConversationMemory Open(string path) => new(new(path, create: false, Patience));

    /// <summary>Opens a memory, or makes one where there is no file.</summary>
    /// <exception cref="InputException">The file is something else or of another version, or cannot be made.</exception>
    public static ConversationMemory OpenOrCreate(string path) => new(new(path, create: true, Patience));

    /// <summary>Throws where a turn cannot be kept as it is.</summary>
    /// <exception cref="InputException">The conversation or the role has no usable name, or there is no text.</exception>
    public static void Check(string conversation, string role, string text)
    {
        CheckName("conversation", conversation);
        CheckRole("role", role);
        if (string.IsNullOrWhiteSpace(text)) throw new InputException($"{conversation}: a turn of {role} has no text.");
    }

    internal static void CheckRole(string what, string role)
    {
        CheckName(what, role);
        if (role.Contains(':')) throw new InputException($"{what}: found {role}, expected no colon: lines are `role: text`.");
    }

    /// <summary>Adds turns to the end of a conversation, all of them or none.</summary>
    /// <returns>The turns with their numbers.</returns>
    /// <exception cref="InputException">A turn is empty, or the file cannot be written; no turn was added.</exception>
    public IReadOnlyList<Turn> Add(string conversation, IReadOnlyList<(string Role, string Text)> turns)
    {
        foreach (var (role, text) in turns) Check(conversation, role, text);
        return file.Write(() =>
        {
            using var insert = file.Command($"""
                INSERT INTO turns (conversation, number, role, text, time)
                SELECT $conversation, coalesce(max(number), 0) + 1, $role, $text, $time FROM turns WHERE conversation = $conversation
                RETURNING {Columns}
                """, ("$conversation", conversation), ("$role", ""), ("$text", ""), ("$time", ""));
            var added = new List<Turn>(turns.Count);
            foreach (var (role, text) in turns)
            {
                insert.Parameters["$role"].Value = role;
                insert.Parameters["$text"].Value = text;
                insert.Parameters["$time"].Value = DateTime.UtcNow.ToString(TimeFormat, CultureInfo.InvariantCulture);
                added.AddRange(Rows(insert, TurnOf));
            }
            return added;
        });
    }

    /// <summary>The conversations, the one that was added to last at the end.</summary>
    /// <exception cref="InputException">The file cannot be read.</exception>
    public IReadOnlyList<Conversation> Conversations() => file.Read(() =>
    {
        using var select = file.Command(
            "SELECT conversation, count(*), min(time), max(time) FROM turns GROUP BY conversation ORDER BY max(id)");
        return Rows(select, row => new Conversation(row.GetString(0), row.GetInt64(1), TimeOf(row, 2), TimeOf(row, 3))).ToList();
    });

    /// <summary>The turns of a conversation, in their order; none where there is no such conversation.</summary>
    /// <exception cref="InputException">The file cannot be read.</exception>
    public IReadOnlyList<Turn> Turns(string conversation) => file.Read(() =>
    {
        using var select = file.Command(
            $"SELECT {Columns} FROM turns WHERE conversation = $conversation ORDER BY number", ("$conversation", conversation));
        return Rows(select, TurnOf).ToList();
    });

    /// <summary>Removes a turn, or a whole conversation. The numbers of other turns stay; the text is overwritten in the file.</summary>
    /// <param name="conversation">The conversation.</param>
    /// <param name="number">The turn; the whole conversation where null.</param>
    /// <returns>How many turns were removed: none where there is no such turn.</returns>
    /// <exception cref="InputException">The file cannot be written; nothing was removed.</exception>
    public int Forget(string conversation, long? number = null) => file.Write(() =>
    {
        using var delete = file.Command(
            "DELETE FROM turns WHERE conversation = $conversation AND number = coalesce($number, number)",
            ("$conversation", conversation), ("$number", number ?? (object)DBNull.Value));
        var removed = delete.ExecuteNonQuery();
        // The index only marks words as removed, until its parts are merged.
        if (removed > 0) file.Run("INSERT INTO words (words) VALUES ('optimize')");
        return removed;
    });

    /// <summary>
    /// The turns with words of a query, the best by BM25 first and, among equals, the latest first. A word is found in all its forms
    /// ("dogs" for "dog"), upper or lower case, with or without accents; any one of the words is enough.
    /// </summary>
    /// <param name="query">Any text.</param>
    /// <param name="count">How many turns at most.</param>
    /// <param name="conversation">The only conversation to search; all where null.</param>
    /// <exception cref="InputException">The file cannot be read.</exception>
    public IReadOnlyList<FoundTurn> Search(string query, int count = DefaultCount, string? conversation = null) =>
        file.Read(() => Find(query, count, conversation));

    /// <summary>
    /// Puts turns before a question: those that the question's words find in all conversations, in the order in which they were told, then
    /// the last turns of one conversation, all as lines <c>role: text</c>, then the question. Turns are chosen as long as they fit: the
    /// best that was found, the latest, the second best, the one before the latest, and so on.
    /// </summary>
    /// <param name="question">The question, the end of the prompt; it may be empty.</param>
    /// <param name="budget">The most tokens of the whole.</param>
    /// <param name="count">The number of tokens of a text; throws InputException where it has characters that the tokenizer lacks.</param>
    /// <param name="conversation">The conversation that goes on; the one that was added to last where null.</param>
    /// <exception cref="InputException">The question alone has more tokens, or the file cannot be read.</exception>
    public ComposedPrompt Compose(string question, int budget, Func<string, int> count, string? conversation = null) => file.Read(() =>
    {
        conversation ??= (string?)file.Value("SELECT conversation FROM turns ORDER BY id DESC LIMIT 1");
        using var select = file.Command(
            $"SELECT {Columns} FROM turns WHERE conversation = $conversation ORDER BY number DESC", ("$conversation", conversation ?? ""));
        return new PromptComposition(question, budget, count).Compose(
            Find(question, DefaultCount, conversation: null).Select(found => found.Turn), Rows(select, TurnOf));
    });

    /// <inheritdoc/>
    public void Dispose() => file.Dispose();

    private List<FoundTurn> Find(string query, int count, string? conversation)
    {
        if (RarestWords(query, conversation) is not { Count: > 0 } words) return [];
        // Texts and passages are read of the best alone.
        using var select = file.Command($"""
            WITH best AS (
                SELECT words.rowid AS id, bm25(words) AS score FROM {WordsIn(conversation)}
                WHERE words MATCH $words AND words.rowid > $older ORDER BY score, words.rowid DESC LIMIT $count)
            SELECT {Columns}, -score, snippet(words, 0, '', '', '…', {PassageTokens})
            FROM best CROSS JOIN turns ON turns.id = best.id CROSS JOIN words ON words.rowid = best.id
            WHERE words MATCH $words ORDER BY score, best.id DESC
            """, ("$words", string.Join(" OR ", words)), ("$older", Older(words, conversation)), ("$count", count),
            ("$conversation", conversation ?? ""));
        return [.. Rows(select, row => new FoundTurn(TurnOf(row), row.GetDouble(6), row.GetString(7)))];
    }

    private List<string> RarestWords(string query, string? conversation)
    {
        var rarest = new List<string>();
        var turns = 0L;
        foreach (var (word, count) in SearchWords.Of(query)
            .Select(word => (word, CountUpTo(MostRanked, word, conversation))).OrderBy(pair => pair.Item2))
        {
            turns += count;
            if (turns > MostRanked && rarest.Count > 0) break;
            if (count > 0) rarest.Add(word);
        }
        return rarest;
    }

    // A word may alone stand in more turns than are ranked: then it is the latest of them that are.
    private long Older(List<string> words, string? conversation) => words is [var only] && file.Value(
        $"SELECT words.rowid FROM {WordsIn(conversation)} WHERE words MATCH $word ORDER BY words.rowid DESC LIMIT 1 OFFSET $most",
        ("$word", only), ("$most", MostRanked), ("$conversation", conversation ?? "")) is long older ? older : long.MinValue;

    private long CountUpTo(int most, string word, string? conversation) => (long)file.Value(
        $"SELECT count(*) FROM (SELECT 1 FROM {WordsIn(conversation)} WHERE words MATCH $word LIMIT $most)",
        ("$word", word), ("$most", most), ("$conversation", conversation ?? ""))!;

    // CROSS JOIN keeps the tables in this order.
    private static string WordsIn(string? conversation) =>
        conversation is null ? "words" : "words CROSS JOIN turns ON turns.id = words.rowid AND turns.conversation = $conversation";

    private static IEnumerable<T> Rows<T>(SqliteCommand command, Func<SqliteDataReader, T> read)
    {
        using var rows = command.ExecuteReader();
        while (rows.Read()) yield return read(rows);
    }

    private static Turn TurnOf(SqliteDataReader row) =>
        new(row.GetInt64(0), row.GetString(1), row.GetInt64(2), row.GetString(3), row.GetString(4), TimeOf(row, 5));

    private static DateTime TimeOf(SqliteDataReader row, int column) =>
        DateTime.TryParse(row.GetString(column), CultureInfo.InvariantCulture,
            DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time) ? time
            : throw new InputException($"the memory has a turn of the time {row.GetString(column)}, expected 2026-01-31T12:00:00Z.");

    private static void CheckName(string what, string name)
    {
        if (string.IsNullOrWhiteSpace(name) || name.Length > LongestName || name.Trim() != name || name.Any(char.IsControl))
            throw new InputException($"{what}: found {(name.Length == 0 ? "nothing" : Shown(name))}, " +
                $"expected a name of at most {LongestName} characters on one line, without spaces around it.");
    }

    private static string Shown(string name) => name.Length <= 40 ? name.ReplaceLineEndings("\\n") : $"{name[..40]}…";
}
