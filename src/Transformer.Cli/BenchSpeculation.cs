using System.CommandLine;
using System.Globalization;
using Transformer.Benchmarks;
using Transformer.Configuration;
using Transformer.Generation;
using Transformer.Inference.Cpu;

namespace Transformer.Cli;

/// <summary><c>bench speculation</c>: what guesses ahead are worth.</summary>
internal static class BenchSpeculation
{
    private static readonly SamplingOptions Defaults = new();

    private static readonly Argument<string> Source = new("PATH") { Description = "A run's folder, a checkpoint's folder, a .safetensors or .gguf file." };

    private static readonly Option<int> DraftTokens = new("--draft-tokens")
    {
        Description = "The most guesses of a pass.",
        HelpName = "N",
        DefaultValueFactory = _ => GenerateOptions.DefaultDraftTokens,
    };

    private static readonly Option<string> Prompt = new("--prompt")
    {
        Description = "The text to continue; nothing where absent.",
        HelpName = "TEXT",
        DefaultValueFactory = _ => "",
    };

    /// <summary>The verb's part.</summary>
    /// <param name="rounds">How often the text is written without and with guesses.</param>
    public static Command Create(Option<int> rounds)
    {
        var speculation = new Command("speculation", "Measures writing with guesses ahead against writing without.")
        {
            Source, GenerateOptions.Draft, DraftTokens, Prompt, GenerateOptions.MaxTokens, GenerateOptions.Temperature, SharedOptions.Quantize, rounds, SharedOptions.Threads, SharedOptions.Json,
        };
        speculation.SetAction((request, cancellation) => Task.FromResult(Run(request, request.GetValue(rounds), cancellation)));
        return speculation;
    }

    private static int Run(ParseResult request, int rounds, CancellationToken cancellation)
    {
        if (rounds < 1) throw new InputException($"--rounds: found {rounds}, expected 1 or more.");
        var guesses = request.GetValue(DraftTokens);
        if (guesses < 1) throw new InputException($"--draft-tokens: found {guesses}, expected 1 or more.");
        var format = WeightFormats.Named(request.GetValue(SharedOptions.Quantize)!);
        using var writer = Writer.Open(request.GetRequiredValue(Source), format, "cpu", SharedOptions.ThreadsOf(request), guesses, request.GetValue(GenerateOptions.Draft));
        var plain = new TextGenerator(writer.EngineFor("bench speculation"), writer.Tokenizer);
        var options = Defaults with { MaxTokens = request.GetValue(GenerateOptions.MaxTokens), Temperature = request.GetValue(GenerateOptions.Temperature) };
        var result = SpeculationBenchmark.Run(plain, writer.Generator, plain.Encode(request.GetValue(Prompt)!), options, rounds, cancellation);
        var output = request.InvocationConfiguration.Output;
        if (request.GetValue(SharedOptions.Json)) ScriptJson.Write(output, result);
        else
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"""
                without       {result.PlainTokensPerSecond:f1} tokens/s
                with guesses  {result.TokensPerSecond:f1} tokens/s
                speed-up      {result.SpeedUp:f2} (from {result.SpeedUpMinimum:f2} to {result.SpeedUpMaximum:f2})
                accepted      {result.AcceptanceRate:p0} of the guesses, {result.TokensPerPass:f2} tokens a pass
                """));
        }
        return CommandLine.Done;
    }
}
