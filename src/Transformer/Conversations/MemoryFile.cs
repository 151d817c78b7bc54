using System.Buffers.Binary;
using System.Text;
using Microsoft.Data.Sqlite;
using Transformer.Configuration;

namespace Transformer.Conversations;

/// <summary>The SQLite file of a memory: its schema, and what may be wrong with it as messages.</summary>
internal sealed class MemoryFile : IDisposable
{
    private const int ApplicationId = 0x5446434D;    // TFCM
    private const int Version = 1;

    // The search index holds no text of its own and follows the table by triggers, also when another program changes it.
    private static readonly string Schema = $"""
        CREATE TABLE turns (
            id INTEGER PRIMARY KEY,
            conversation TEXT NOT NULL,
            number INTEGER NOT NULL,
            role TEXT NOT NULL,
            time TEXT NOT NULL,
            text TEXT NOT NULL,
            UNIQUE (conversation, number)
        );
        CREATE VIRTUAL TABLE words USING fts5(
            text, content='turns', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2');
        CREATE TRIGGER turns_added AFTER INSERT ON turns BEGIN
            INSERT INTO words (rowid, text) VALUES (new.id, new.text);
        END;
        CREATE TRIGGER turns_forgotten AFTER DELETE ON turns BEGIN
            INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, old.text);
        END;
        CREATE TRIGGER turns_changed AFTER UPDATE OF id, text ON turns BEGIN
            INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, old.text);
            INSERT INTO words (rowid, text) VALUES (new.id, new.text);
        END;
        PRAGMA application_id = {ApplicationId};
        PRAGMA user_version = {Version};
        """;

    private readonly string path;
    private readonly TimeSpan patience;
    private readonly SqliteConnection connection;

    /// <param name="path">The file.</param>
    /// <param name="create">Whether it is made where there is none; else it must be there.</param>
    /// <param name="patience">How long to wait while another process writes: whole seconds.</param>
    /// <exception cref="InputException">It cannot be opened, or is no memory of this version.</exception>
    public MemoryFile(string path, bool create, TimeSpan patience)
    {
        (this.path, this.patience) = (path, patience);
        if (Directory.Exists(path)) throw new InputException($"{path}: found a folder, expected the file of a memory.");
        if (!create && !File.Exists(path)) throw new InputException($"{path}: no such file, {Expected}.");
        connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = Path.GetFullPath(path),
            // A file that may only be read is opened so by SQLite itself. What a killed process left half done is undone at once.
            Mode = create ? SqliteOpenMode.ReadWriteCreate : SqliteOpenMode.ReadWrite,
            DefaultTimeout = (int)patience.TotalSeconds,
            Pooling = false,
        }.ToString());
        try
        {
            Guard(connection.Open);
            // SQLite's own waiting asks again sooner than the connection's. What is removed is overwritten. What the schema of a file from
            // elsewhere runs may not reach beyond it.
            Guard(() => Run(
                $"PRAGMA busy_timeout = {(int)patience.TotalMilliseconds}; PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF"));
            if (Read(IsEmpty))
            {
                if (!create) throw new InputException($"{path}: is empty, {Expected}.");
                Write(() => { if (IsEmpty()) Run(Schema); return true; });
            }
            Read(() => { Check(); return true; });
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Reads; everything that is read is of one moment.</summary>
    /// <exception cref="InputException">SQLite reports an error.</exception>
    public T Read<T>(Func<T> read) => InTransaction(read, deferred: true);

    /// <summary>Writes, all of it or nothing, while no other process writes.</summary>
    /// <exception cref="InputException">SQLite reports an error; nothing was changed.</exception>
    public T Write<T>(Func<T> write) => InTransaction(write, deferred: false);

    /// <summary>A statement with its values.</summary>
    public SqliteCommand Command(string sql, params ReadOnlySpan<(string Name, object Value)> values)
    {
        var command = connection.CreateCommand();
        command.CommandText = sql;
        foreach (var (name, value) in values) command.Parameters.AddWithValue(name, value);
        return command;
    }

    /// <summary>The only value of the only row; null where there is none.</summary>
    public object? Value(string sql, params ReadOnlySpan<(string Name, object Value)> values)
    {
        using var command = Command(sql, values);
        return command.ExecuteScalar() is { } value and not DBNull ? value : null;
    }

    /// <summary>Executes statements without values.</summary>
    public void Run(string sql)
    {
        using var command = Command(sql);
        command.ExecuteNonQuery();
    }

    public void Dispose() => connection.Dispose();

    private static string Expected => $"expected a memory that `{ShellCommand.Of("memory", "add")}` wrote";

    private bool IsEmpty() => Value("SELECT 1 FROM sqlite_schema LIMIT 1") is null
        && Number("application_id") == 0 && Number("user_version") == 0;

    private long Number(string pragma) => (long)Value($"PRAGMA {pragma}")!;

    private void Check()
    {
        var (application, version) = (Number("application_id"), Number("user_version"));
        if (application != ApplicationId)
            throw new InputException($"{path}: is a database of {Named((int)application)}, {Expected}. " +
                "Name another file.");
        if (version != Version)
            throw new InputException($"{path}: is a memory of version {version}, and this program knows version {Version}. " +
                $"Use {(version > Version ? "a newer program" : "the program that wrote it")}; the file was not changed.");
    }

    private static string Named(int application)
    {
        var letters = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(letters, application);
        return application == 0 ? "another program"
            : letters.All(letter => letter is > 32 and < 127) ? $"another program ({Encoding.ASCII.GetString(letters)})"
            : $"another program (application id {application})";
    }

    private T InTransaction<T>(Func<T> act, bool deferred)
    {
        var result = default(T);
        Guard(() =>
        {
            using var transaction = connection.BeginTransaction(deferred);    // undone where it is disposed before its end
            result = act();
            transaction.Commit();
        });
        return result!;
    }

    private void Guard(Action act)
    {
        try
        {
            act();
        }
        catch (SqliteException e)
        {
            throw new InputException($"{path}: {Problem(e)}", e);
        }
    }

    // The codes of sqlite.org/rescode.html.
    private string Problem(SqliteException e) => e.SqliteErrorCode switch
    {
        5 or 6 => $"another process has kept it locked for {patience.TotalSeconds} s; nothing was changed. Try again when it is done.",
        8 => "cannot be written (it, or its folder, is read-only); nothing was changed. Give it the permission to be written.",
        10 => $"cannot be read or written ({Reason(e)}); nothing was changed. Free space on its disk, or copy it to another one.",
        11 => $"is damaged ({Reason(e)}). Take a copy of it from before, or save what is left by sqlite3's .recover.",
        13 => $"cannot be written ({Reason(e)}); nothing was changed. Free space on its disk.",
        14 => Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(path)))
            ? "cannot be opened. Give it and its folder the permission to be read and written."
            : "its folder does not exist. Make it, or name another one.",
        18 => "a text is larger than a row of SQLite, 1 GB; nothing was changed. Split it.",
        26 => $"is no SQLite database, {Expected}. Name another file.",
        _ => $"{Reason(e)} (SQLite's error {e.SqliteExtendedErrorCode}); nothing was changed.",
    };

    // SQLite's own words, without the library's around them.
    private static string Reason(SqliteException e) =>
        (e.Message.Split('\'') is [_, .. var middle, _] ? string.Join('\'', middle) : e.Message).ReplaceLineEndings(" ").TrimEnd('.');
}
