using System.CommandLine;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Evaluation;
using Transformer.Inference.Torch;
using Transformer.Runs;
using Transformer.Training;

namespace Transformer.Cli;

/// <summary><c>evaluate --by-position</c>: where in a stream, and in its segments, models predict well.</summary>
internal static class EvaluatePositions
{
    private const string Extension = ".svg";
    private const int Parts = 16;

    /// <summary>Measures each model, and draws all in one picture.</summary>
    /// <param name="request">The device, and whether JSON is wanted.</param>
    /// <param name="models">Their paths.</param>
    /// <param name="given">The text; each run's own validation text where null.</param>
    /// <param name="picture">The picture's file.</param>
    /// <param name="cancellation">Ends it; nothing is written.</param>
    /// <returns>The exit code.</returns>
    /// <exception cref="InputException">A model or a text cannot be used, or the picture cannot be written.</exception>
    public static int Run(
        ParseResult request, IReadOnlyList<string> models, TextSource? given, string picture, CancellationToken cancellation)
    {
        if (Path.GetExtension(picture) != Extension)
            throw new InputException($"--by-position: found {picture}, expected a name that ends with {Extension}.");
        var device = SharedOptions.DeviceOf(request);
        List<(string Name, StreamEvaluation Stream)> streams = [];
        foreach (var path in models)
        {
            using var loaded = LoadedModel.Open(path, device);
            using var text = given is null ? Own(path) : TextEvaluation.Of(given, loaded.Tokenizer);
            streams.Add((path, StreamEvaluation.Measure(loaded.Model, text.Tokens, cancellation: cancellation)));
        }
        StreamPlot.Write(streams, picture);
        var output = request.InvocationConfiguration.Output;
        if (request.GetValue(SharedOptions.Json))
        {
            ScriptJson.Write(output, streams.Select(measured => new
            {
                Model = measured.Name,
                measured.Stream.Loss,
                Tokens = measured.Stream.Losses.Count,
                measured.Stream.Segment,
                LossByPart = measured.Stream.ByPart(Parts),
                LossByPlace = measured.Stream.ByPlace(),
            }));
            return CommandLine.Done;
        }
        var width = Math.Max("model".Length, streams.Max(measured => measured.Name.Length));
        output.WriteLine($"{"model".PadRight(width)}     loss  first half of a segment  second half      tokens");
        foreach (var (name, stream) in streams)
        {
            var (places, half) = (stream.ByPlace(), (stream.Segment + 1) / 2);
            output.WriteLine($"{name.PadRight(width)}  {stream.Loss,7:f4}  {places.Take(half).Average(),23:f4}  " +
                $"{places.Skip(half).DefaultIfEmpty(double.NaN).Average(),11:f4}  {stream.Losses.Count,10:n0}");
        }
        output.WriteLine($"The picture is in {picture}");
        return CommandLine.Done;
    }

    /// <summary>A run's own validation text.</summary>
    /// <exception cref="InputException">It is no run, or did not learn from a text.</exception>
    internal static TextEvaluation Own(string run)
    {
        var config = RunFolder.ConfigOf(run) ?? throw new InputException(
            $"{run}: is no run (no config.yaml), so its validation text is not known. Name a text with --data FILE.");
        var data = Dataset.Open(ConfigFile.Load(config, []).Data);
        if (data is Corpus corpus) return TextEvaluation.Of(corpus);
        data.Dispose();
        throw new InputException($"{run}: a text is read, and this run learned {data.Name}. Name a text with --data FILE.");
    }
}
