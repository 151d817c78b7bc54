using System.CommandLine;
using Spectre.Console;
using Transformer.Benchmarks;
using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Cli;

/// <summary><c>bench scaling</c>: time and memory of each token mixer as the length grows.</summary>
internal static class BenchScaling
{
    private const string Model = """
        model:
          width: 384
          context_length: 1024
          layers: 1
          vocabulary_size: 65
          position: {kind: none}
        data: {path: builtin:tinyshakespeare}
        training: {steps: 1, batch_size: 1, optimizer: {kind: adamw, learning_rate: 1.0e-3}}
        """;

    // What is measured, as model.attention.
    private static readonly (string Name, string Attention)[] Known =
    [
        ("full", "{kind: softmax, heads: 6}"),
        ("sliding", "{kind: softmax, heads: 6, window: {kind: sliding, size: 256}}"),
        ("length_scaled", "{kind: softmax, heads: 6, window: {kind: length_scaled}}"),
        ("dynamic", "{kind: softmax, heads: 6, window: {kind: dynamic, maximum: 224}}"),
        ("latent", "{kind: latent, heads: 6, kv_rank: 128, rope_width: 0}"),
        ("elu", "{kind: linear, rule: elu, heads: 6}"),
        ("gla", "{kind: linear, rule: gla, heads: 6}"),
        ("delta", "{kind: linear, rule: delta, heads: 6}"),
        ("gated_delta", "{kind: linear, rule: gated_delta, heads: 6}"),
    ];

    private static readonly Option<string[]> Mixers = new("--mixer")
    {
        Description = $"What to measure: {string.Join(", ", Known.Select(mixer => mixer.Name))}; may be given again; default: all.",
        HelpName = "NAME",
        DefaultValueFactory = _ => [.. Known.Select(mixer => mixer.Name)],
    };

    private static readonly Option<int[]> Lengths = new Option<int[]>("--length")
    {
        Description = "A number of tokens; may be given again; default: 1024, 2048 ... 32768.",
        HelpName = "T",
        DefaultValueFactory = _ => [1024, 2048, 4096, 8192, 16384, 32768],
    }.Whole(1, 1 << 20);

    private static readonly Option<string[]> Layers = new("--layers")
    {
        Description = "What model.layers is, e.g. --layers 12 --layers '[2, {shorten: 4, layers: 8}, 2]'; may be given again; default: 1.",
        HelpName = "LAYERS",
        DefaultValueFactory = _ => [OneLayer],
    };

    private const string OneLayer = "1";

    /// <summary>The subcommand.</summary>
    public static Command Create()
    {
        var scaling = new Command("scaling", "Measures a training step and decoding at growing lengths, for each token mixer.")
        {
            Mixers, Lengths, Layers, SharedOptions.Set, SharedOptions.Threads, SharedOptions.Json,
        };
        scaling.SetAction((request, cancellation) => Task.FromResult(Run(request, cancellation)));
        return scaling;
    }

    private static int Run(ParseResult request, CancellationToken cancellation)
    {
        SharedOptions.UseThreads(request);
        var configs = (
            from name in request.GetRequiredValue(Mixers)
            from length in request.GetRequiredValue(Lengths)
            from layers in request.GetRequiredValue(Layers)
            select (layers == OneLayer ? name : $"{name}, layers {layers}", Config(request, name, length, layers))).ToList();
        var results = new List<ScalingBenchmark>();
        var error = request.InvocationConfiguration.Error;
        foreach (var (name, config) in configs)
        {
            error.WriteLine($"{name}, {config.Model.ContextLength:n0} tokens");
            results.Add(ScalingBenchmark.Run(name, config, cancellation));
        }
        if (request.GetValue(SharedOptions.Json)) ScriptJson.Write(request.InvocationConfiguration.Output, results);
        else Write(request.InvocationConfiguration.Output, results);
        return CommandLine.Done;
    }

    private static RunConfig Config(ParseResult request, string name, int length, string layers)
    {
        var attention = Known.FirstOrDefault(mixer => mixer.Name == name).Attention;
        if (attention is null)
        {
            string[] names = [.. Known.Select(mixer => mixer.Name)];
            var nearest = Spelling.Nearest(name, names);
            throw new InputException($"--mixer: found {name}, expected one of " +
                $"{string.Join(", ", names)}{(nearest is null ? "." : $"; did you mean {nearest}?")}");
        }
        return ConfigFile.Parse(
            Model, "bench",
            [
                $"model.attention={attention}", $"model.layers={layers}", .. request.GetRequiredValue(SharedOptions.Set),
                $"model.context_length={length}"
            ]);
    }

    private static void Write(TextWriter output, IReadOnlyList<ScalingBenchmark> results)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumns("mixer", "tokens", "step", "peak per step", "next token", "state");
        foreach (var column in table.Columns.Skip(1)) column.RightAligned();
        foreach (var result in results)
            table.AddRow(
                Markup.Escape(result.Mixer), $"{result.Length:n0}", $"{1000 * result.StepSeconds:n1} ms",
                result.PeakBytes is { } peak ? Numbers.Bytes(peak) : "-",
                $"{1000 * result.DecodeSeconds:n2} ms", Numbers.Bytes(result.StateBytes));
        AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(output) }).Write(table);
    }
}
