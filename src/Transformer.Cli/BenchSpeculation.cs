using System.CommandLine;
using System.Globalization;
using Transformer.Benchmarks;
using Transformer.Generation;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;

namespace Transformer.Cli;

/// <summary><c>bench speculation</c>: what speculative decoding is worth.</summary>
internal static class BenchSpeculation
{
    private static readonly SamplingOptions Defaults = new();

    private static readonly Argument<string> Source = new("PATH")
    {
        Description = "A run's folder, a checkpoint's folder, a .safetensors or .gguf file, or a folder with an ONNX model."
    };

    private static readonly Option<int> DraftTokens = new Option<int>("--draft-tokens")
    {
        Description = "The most draft tokens of a pass.",
        HelpName = "N",
        DefaultValueFactory = _ => GenerateOptions.DefaultDraftTokens,
    }.Whole(1, TextGenerator.MostDraftTokens);

    private static readonly Option<string> Prompt = new("--prompt")
    {
        Description = "The text to continue; default: none.",
        HelpName = "TEXT",
        DefaultValueFactory = _ => "",
    };

    /// <summary>The verb's part.</summary>
    /// <param name="rounds">How often the text is generated without and with draft tokens.</param>
    public static Command Create(Option<int> rounds)
    {
        var speculation = new Command("speculation", "Measures speculative decoding against decoding token by token.")
        {
            Source, GenerateOptions.Draft, DraftTokens, Prompt, GenerateOptions.MaxTokens, GenerateOptions.Temperature,
            SharedOptions.Quantize, rounds, SharedOptions.Threads, SharedOptions.Json,
        };
        speculation.SetAction((request, cancellation) => Task.FromResult(Run(request, request.GetValue(rounds), cancellation)));
        return speculation;
    }

    private static int Run(ParseResult request, int rounds, CancellationToken cancellation)
    {
        var draftTokens = request.GetValue(DraftTokens);
        var format = WeightFormats.Named(request.GetValue(SharedOptions.Quantize)!);
        var load = new LoadRequest(format, Threads: request.GetValue(SharedOptions.Threads));
        using var models = GenerationModels.Open(
            request.GetRequiredValue(Source), request.GetValue(GenerateOptions.Draft), load, draftTokens);
        var plain = new TextGenerator(models.Model, models.Tokenizer);
        var options = Defaults with
        {
            MaxTokens = request.GetValue(GenerateOptions.MaxTokens),
            Temperature = request.GetValue(GenerateOptions.Temperature)
        };
        var result = SpeculationBenchmark.Run(
            plain, models.Generator, plain.Encode(request.GetValue(Prompt)!), options, rounds, cancellation);
        var output = request.InvocationConfiguration.Output;
        if (request.GetValue(SharedOptions.Json)) ScriptJson.Write(output, result);
        else
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"""
                without       {result.PlainTokensPerSecond:f1} tokens/s
                with drafts   {result.TokensPerSecond:f1} tokens/s
                speed-up      {result.SpeedUp:f2} (from {result.SpeedUpMinimum:f2} to {result.SpeedUpMaximum:f2})
                accepted      {result.AcceptanceRate:p0} of the draft tokens, {result.TokensPerPass:f2} tokens per pass
                """));
        }
        return CommandLine.Done;
    }
}
