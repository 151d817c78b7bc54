using Microsoft.Data.Sqlite;
using Transformer.Cli;
using Transformer.Configuration;
using Transformer.Conversations;
using Transformer.Tests.EndToEnd;

namespace Transformer.Tests.Conversations;

/// <summary>What a file may be, what may go wrong with it, and that no turn is lost then.</summary>
public sealed class MemoryFileTests : IDisposable
{
    private const int Kills = 4;
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("PRAGMA user_version = 2", "is a memory of version 2, and this program knows version 1. Use a newer program")]
    [InlineData("PRAGMA application_id = 1196444487", "is a database of another program (GPKG), expected a memory")]
    [InlineData("PRAGMA application_id = 1", "is a database of another program (application id 1), expected a memory")]
    [InlineData("PRAGMA application_id = 0", "is a database of another program, expected a memory")]
    public void A_database_of_another_version_or_program_is_refused_and_not_touched(string change, string message)
    {
        using (Filled()) Execute(change);
        var before = File.ReadAllBytes(folder["memory.db"]);
        AssertRefused(() => ConversationMemory.Open(folder["memory.db"]), message);
        AssertRefused(() => ConversationMemory.OpenOrCreate(folder["memory.db"]), message);
        Assert.Equal(before, File.ReadAllBytes(folder["memory.db"]));
        Assert.Equal(["memory.db"], folder.Names);
    }

    [Theory]
    [InlineData("text.txt", "text.txt: is no SQLite database, expected a memory")]
    [InlineData("none.db", "none.db: no such file, expected a memory")]
    [InlineData("", ": found a folder, expected the file of a memory")]
    [InlineData("none/memory.db", "memory.db: no such file")]
    [InlineData("empty.db", "empty.db: is empty, expected a memory")]
    public void What_is_no_memory_is_refused_for_reading(string name, string message)
    {
        folder.Write("text.txt", string.Concat(Enumerable.Repeat("no database ", 1000)));
        folder.Write("empty.db", "");
        AssertRefused(() => ConversationMemory.Open(folder[name]), message);
        Assert.Equal(2, folder.Names.Count());
    }

    [Theory]
    [InlineData("text.txt", "text.txt: is no SQLite database, expected a memory")]
    [InlineData("", ": found a folder, expected the file of a memory")]
    [InlineData("none/memory.db", "memory.db: its folder does not exist")]
    public void Where_no_memory_can_be_made_none_is(string name, string message)
    {
        folder.Write("text.txt", string.Concat(Enumerable.Repeat("no database ", 1000)));
        AssertRefused(() => ConversationMemory.OpenOrCreate(folder[name]), message);
        Assert.Equal(["text.txt"], folder.Names);
    }

    [Fact]
    public void A_memory_is_made_in_an_empty_file()
    {
        folder.Write("memory.db", "");
        using var memory = Filled();
        Assert.Equal(3, memory.Turns("talk").Count);
    }

    [Fact]
    public void A_full_database_is_refused_in_one_line_and_keeps_its_turns()
    {
        Filled().Dispose();
        using var file = new MemoryFile(folder["memory.db"], create: false, TimeSpan.FromSeconds(1));
        file.Run("PRAGMA max_page_count = 20");
        using var memory = new ConversationMemory(file);
        AssertRefused(
            () => memory.Add("talk", [("user", "small"), ("user", new string('x', 200_000))]),
            "memory.db: cannot be written (database or disk is full); nothing was changed. Free space on its disk.");
        Assert.Equal([1, 2, 3], memory.Turns("talk").Select(turn => turn.Number));
        Assert.Equal([4], memory.Add("talk", [("user", "small")]).Select(turn => turn.Number));
    }

    [Fact]
    public void A_limit_of_the_file_s_size_loses_no_earlier_turn()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs ulimit");
        Filled().Dispose();
        folder.Write("long.txt", new string('x', 200_000));
        using var add = Command.StartInShell(
            folder.Path, ["bash", "-c", "export DOTNET_EnableWriteXorExecute=0; trap '' XFSZ; ulimit -f 100; \"$@\"", "bash"],
            "memory", "add", "memory.db", "--conversation", "talk", "--role", "user", "--file", "long.txt");
        var (code, output, error) = add.Wait();
        Assert.Equal((CommandLine.Refused, ""), (code, output));
        Assert.StartsWith("memory.db: cannot be read or written (disk I/O error); nothing was changed.", error);
        AssertWhole(3);
    }

    [Fact]
    public void A_file_locked_for_longer_than_one_waits_is_refused()
    {
        using var memory = Filled();
        using var other = new ConversationMemory(new(folder["memory.db"], create: false, TimeSpan.FromSeconds(1)));
        Execute("BEGIN EXCLUSIVE", () => AssertRefused(
            () => other.Add("talk", [("user", "x")]), "another process has kept it locked for 1 s; nothing was changed."));
        Assert.Single(other.Add("talk", [("user", "x")]));
    }

    [Fact]
    public void A_file_that_may_only_be_read_is_read_and_not_written()
    {
        Filled().Dispose();
        File.SetAttributes(folder["memory.db"], FileAttributes.ReadOnly);
        Assert.SkipWhen(CanBeWritten(folder["memory.db"]), "this user may write what is read-only");
        using (var memory = ConversationMemory.OpenOrCreate(folder["memory.db"]))
        {
            Assert.Single(memory.Search("one"));
            AssertRefused(() => memory.Add("talk", [("user", "x")]), "cannot be written (it, or its folder, is read-only)");
        }
        File.SetAttributes(folder["memory.db"], FileAttributes.Normal);
    }

    [Fact]
    public void Damage_is_one_line()
    {
        using (var memory = Filled()) memory.Add("talk", [.. Enumerable.Range(0, 200).Select(i => ("user", $"turn {i} of many more"))]);
        var whole = File.ReadAllBytes(folder["memory.db"]);
        var random = new Random(3);
        for (var round = 0; round < 60; round++)
        {
            var bytes = round % 3 == 0 ? whole[..random.Next(1, whole.Length)] : whole.ToArray();
            for (var i = 0; i < (round % 3 == 0 ? 0 : 200); i++) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            folder.Write("memory.db", bytes);
            var problem = Record.Exception(() =>
            {
                using var memory = ConversationMemory.Open(folder["memory.db"]);
                memory.Conversations();
                memory.Search("turn many");
                memory.Compose("turn", 200, text => text.Length);
            });
            Assert.True(problem is null or InputException, $"{problem}");
            Assert.DoesNotContain('\n', problem?.Message ?? "");
        }
    }

    [Fact]
    public void Two_processes_that_add_at_once_lose_no_turn()
    {
        const int Each = 3, Turns = 40;
        for (var who = 0; who < 2; who++)
            folder.Write($"{who}.txt", string.Concat(Enumerable.Range(0, Turns).Select(i => $"user: turn {i} of process {who}\n")));
        var processes = Enumerable.Range(0, 2).Select(who => Command.StartInShell(
            folder.Path, ["bash", "-c", $"for i in {string.Join(' ', Enumerable.Range(0, Each))}; do \"$@\" || exit 9; done", "bash"],
            "memory", "add", "memory.db", "--conversation", "talk", "--file", $"{who}.txt")).ToList();
        foreach (var process in processes)
        {
            using (process) Assert.Equal((0, ""), (process.Wait().Code, process.Error));
        }

        AssertWhole(2 * Each * Turns);
        using var memory = ConversationMemory.Open(folder["memory.db"]);
        var expected = Enumerable.Range(0, Turns).SelectMany(i => Enumerable.Range(0, 2).Select(who => $"turn {i} of process {who}"));
        Assert.Equal(
            expected.SelectMany(text => Enumerable.Repeat(text, Each)).Order(), memory.Turns("talk").Select(turn => turn.Text).Order());
    }

    [Fact]
    public void A_process_killed_while_it_adds_loses_no_earlier_turn()
    {
        const int Turns = 30_000;
        Filled().Dispose();
        folder.Write("many.txt", string.Concat(Enumerable.Range(0, Turns).Select(i => $"user: turn {i} of many\n")));
        var random = new Random(Environment.TickCount);
        var expected = 3;
        for (var kill = 0; kill < Kills; kill++)
        {
            using var add = Command.Start(folder.Path, "memory", "add", "memory.db", "--conversation", "talk", "--file", "many.txt");
            while (!File.Exists(folder["memory.db-journal"]) && !add.HasExited) Thread.Sleep(1);    // another process's file: only polled
            Thread.Sleep(random.Next(kill * 150));    // the moment is what is random
            add.Kill();
            using var memory = ConversationMemory.Open(folder["memory.db"]);
            var found = memory.Turns("talk").Count;
            Assert.True(found == expected || found == expected + Turns, $"{found} turns after {expected}");
            expected = found;
        }
        using (Filled()) { }    // removes the journal of what never began
        AssertWhole(expected + 3);
    }

    private ConversationMemory Filled()
    {
        var memory = ConversationMemory.OpenOrCreate(folder["memory.db"]);
        memory.Add("talk", [("user", "one"), ("assistant", "two"), ("user", "three")]);
        return memory;
    }

    private void Execute(string sql, Action? meanwhile = null)
    {
        using var other = new SqliteConnection($"Data Source={folder["memory.db"]};Pooling=false");
        other.Open();
        using var command = other.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
        meanwhile?.Invoke();
    }

    // The numbers run from 1 on, and SQLite finds neither the tables nor the index damaged.
    private void AssertWhole(int turns)
    {
        using (var memory = ConversationMemory.Open(folder["memory.db"]))
            Assert.Equal(Enumerable.Range(1, turns).Select(number => (long)number), memory.Turns("talk").Select(turn => turn.Number));
        using var file = new MemoryFile(folder["memory.db"], create: false, TimeSpan.FromSeconds(1));
        Assert.Equal("ok", file.Value("PRAGMA integrity_check"));
        file.Run("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)");
        Assert.Equal(["memory.db"], folder.Names.Where(name => name.StartsWith("memory", StringComparison.Ordinal)));
    }

    private static bool CanBeWritten(string path)
    {
        try
        {
            using var stream = File.OpenWrite(path);
            return true;
        }
        catch (UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static void AssertRefused(Action act, string message)
    {
        var refusal = Assert.Throws<InputException>(act);
        Assert.Contains(message, refusal.Message);
        Assert.DoesNotContain('\n', refusal.Message);
    }
}
