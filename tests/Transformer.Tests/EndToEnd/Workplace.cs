using System.Text.Json.Nodes;
using Transformer.Cli;

namespace Transformer.Tests.EndToEnd;

/// <summary>A folder with a text of some thousand characters, a configuration of a run that takes a second, and the results.</summary>
internal sealed class Workplace : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public Workplace()
    {
        Write("corpus.txt", string.Concat(Enumerable.Range(0, 300).Select(i => $"line {i * 7919 % 1000} of it\n")));
        Write("tiny.yaml", """
            model: {width: 16, context_length: 16, layers: 1, dropout: 0.1, attention: {kind: softmax, heads: 2}}
            data: {path: corpus.txt, tokenizer: {kind: character}}
            training:
              steps: 40
              batch_size: 2
              evaluate_every: 10
              evaluate_batches: 2
              checkpoint_every: 10
              sample_tokens: 20
              optimizer: {kind: adamw, learning_rate: 1.0e-2}
            """);
    }

    public string Folder => folder.Path;

    public string this[string name] => folder[name];

    public void Write(string name, string text) => File.WriteAllText(this[name], text);

    /// <summary>The lines of a run's metrics so far.</summary>
    public JsonObject[] Metrics(string run) => [.. Lines(run).Select(line => JsonNode.Parse(line)!.AsObject())];

    /// <summary>The last of them.</summary>
    public JsonObject LastMetrics(string run) => JsonNode.Parse(Lines(run)[^1])!.AsObject();

    /// <summary>The number of a run's steps so far.</summary>
    public int Steps(string run) =>
        File.Exists(MetricsOf(run)) ? File.ReadAllBytes(MetricsOf(run)).AsSpan().Count((byte)'\n') : 0;    // polled, so it must be cheap

    /// <summary>Names of files and folders that a killed or failed write leaves behind, at any depth.</summary>
    public IEnumerable<string> HalfWritten() => Directory.EnumerateFileSystemEntries(Folder, "*", SearchOption.AllDirectories)
        .Where(entry => entry.EndsWith(".partial", StringComparison.Ordinal) || entry.EndsWith(".replaced", StringComparison.Ordinal));

    /// <summary>Runs a request in this process. Paths must be absolute: the working folder is the tests'.</summary>
    public static async Task<(int Code, string Output, string Error)> Request(params string[] arguments)
    {
        var (output, error) = (new StringWriter { NewLine = "\n" }, new StringWriter { NewLine = "\n" });
        var code = await CommandLine.RunAsync(Program.Commands(), arguments, output, error);
        return (code, output.ToString(), error.ToString());
    }

    /// <summary>Trains tiny.yaml in this process.</summary>
    public Task<(int Code, string Output, string Error)> Train(string run, params string[] arguments) =>
        Request(["train", this["tiny.yaml"], "--set", $"data.path={this["corpus.txt"]}", "--out", this[run], .. arguments]);

    public void Dispose() => folder.Dispose();

    // Without an incomplete last line.
    private string[] Lines(string run)
    {
        var path = MetricsOf(run);
        return File.Exists(path) ? File.ReadAllText(path).Split('\n')[..^1] : [];
    }

    private string MetricsOf(string run) => Path.Combine(this[run], "metrics.jsonl");
}
