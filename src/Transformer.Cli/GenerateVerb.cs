using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Transformer.Configuration;
using Transformer.Data.Images;
using Transformer.Distributed;
using Transformer.Generation;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;
using Transformer.Layers;
using Transformer.Onnx;
using static Transformer.Cli.GenerateOptions;

namespace Transformer.Cli;

/// <summary><c>generate</c>: continues a prompt.</summary>
internal static class GenerateVerb
{
    /// <summary>What the verb is called.</summary>
    public const string Name = "generate";

    /// <summary>What stands between two samples.</summary>
    public const string Separator = "---------------";

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var verb = new Command(Name, "Continues a prompt with a trained model.")
        {
            Source, Prompt, PromptFile, Image, MaxTokens, Greedy, Temperature, TopK, TopP, MinP, RepetitionPenalty, Stop, Regex, JsonSchema,
            Seed, Count, GenerateMemory.Memory, GenerateMemory.Conversation, GenerateMemory.Budget,
            DraftTokens, Draft, Prompts, GenerateOptions.Parallel, Beams, LengthPenalty, GenerateOptions.ContextPolicy, SaveState, State,
            TensorParallel, SharedOptions.Quantize, SharedOptions.Threads, SharedOptions.Device, SharedOptions.Json,
        };
        verb.SetAction((request, cancellation) => Task.FromResult(Run(request, cancellation)));
        return verb;
    }

    private static int Run(ParseResult request, CancellationToken cancellation)
    {
        using var ranks = Launch.Join(request.InvocationConfiguration.Error, Name);
        return RankedVerb.Run(request, ranks, () => Run(request, ranks, cancellation), failure => failure is InputException);
    }

    private static int Run(ParseResult request, ICollective ranks, CancellationToken cancellation)
    {
        var isFirst = ranks.Rank == 0;
        var (output, error) = isFirst ? (request.InvocationConfiguration.Output, request.InvocationConfiguration.Error)
            : (TextWriter.Null, TextWriter.Null);
        if (ranks.Ranks > 1) SharedOptions.UseThreads(request, ranks);
        CheckRanks(request, ranks);
        var (options, prompt, prompts, draftTokens) = ranks.RunOnAll(() => Understand(request));
        var group = ranks.Ranks > 1 ? new TensorParallelGroup(ranks) : null;
        var load = new LoadRequest(
            WeightFormats.Named(request.GetValue(SharedOptions.Quantize)!), request.GetRequiredValue(SharedOptions.Device),
            request.GetValue(SharedOptions.Threads), group);
        using var main = ranks.RunOnAll(() => OnnxLoader.Open(request.GetRequiredValue(Source), load));
        ranks.RequireEqual(
            $"{main.Model.Config.ContextLength} {main.Tokenizer.VocabularySize} {new ModelSize(main.Model.Config).Parameters}",
            (rank, _, _) => $"generate: rank {rank} has another model than rank 0. Give all machines the same files.");
        ranks.CurrentOperation = "generating";
        var couldUseKernels = group is null && load.Device == "cpu" && main.Model.Core is TorchInferenceModel;
        if (couldUseKernels && CpuKernels.FallbackNote(main.Model.Config) is { } note) error.WriteLine(note);
        if (main.Model.Core is TorchInferenceModel { IsFollower: true } follower)
        {
            follower.Follow();
            return CommandLine.Done;
        }
        using var models = GenerationModels.WithDraft(main, request.GetValue(Draft), load, draftTokens) with
        {
            ContextPolicy = request.GetValue(GenerateOptions.ContextPolicy)
        };
        var (count, json) = (request.GetValue(Count), request.GetValue(SharedOptions.Json));
        if (prompts is not null)
            return GenerateBatch.Run(output, error, models, prompts, count, request.GetValue(GenerateOptions.Parallel), json, cancellation);
        (prompt, var memory) = GenerateMemory.Compose(request, error, models, prompt);
        if (request.GetValue(Beams) is { } beams)
        {
            var most = IsGiven(request, MaxTokens) ? options.MaxTokens : (int?)null;
            return GenerateBeams.Run(
                output, models, prompt, memory, beams, request.GetValue(LengthPenalty), most, count, json, cancellation);
        }
        var generator = models.Generator;
        if (IsGiven(request, State) || IsGiven(request, SaveState))
            return GenerateSession.Run(request, models, generator, prompt, options, cancellation);

        // One sample is shown as it comes; several would mingle, so they follow each other at the end.
        var live = !json && count == 1;
        var tokens = generator.EncodeWithPictures(prompt, Pictures(request, main.Model.Config));
        double? firstToken = null;
        var start = SinceProcessStart();
        var samples = new List<GeneratedText>();
        for (var atOnce = Math.Min(count, models.RowsAtOnce(tokens.Length + (long)options.MaxTokens)); samples.Count < count;)
        {
            samples.AddRange(generator.Generate(
                [.. Enumerable.Repeat(tokens, Math.Min(atOnce, count - samples.Count))],
                options,
                onToken: (_, _) => { if (firstToken is null) Begin(); },
                onText: (_, text) => { if (live) output.Write(text); },
                firstRow: samples.Count,
                cancellation));
            if (cancellation.IsCancellationRequested) break;
        }
        var seconds = SinceProcessStart() - start;
        if (firstToken is null) Begin();

        if (json)
        {
            ScriptJson.Write(output, new
            {
                Prompt = prompt,
                Memory = memory,
                Samples = samples.Select(sample => new { sample.Text, sample.Tokens, sample.FinishReason, sample.Dropped }),
                TokensPerSecond = samples.Sum(sample => sample.Tokens.Count) / seconds,
                FirstTokenSeconds = firstToken,
                samples[0].Speculation,
            });
        }
        else if (live) output.WriteLine();
        else output.WriteLine(string.Join($"\n{Separator}\n", samples.Select(sample => prompt + sample.Text)));

        GenerationNotes.End(error, samples, options, models.ContextLength);
        if (!json && samples[0].Speculation is { } speculation)
        {
            error.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"speculative decoding: {speculation.Accepted} of {speculation.Drafted} draft tokens accepted " +
                    $"({speculation.AcceptanceRate:p0}); {samples[0].Tokens.Count} tokens in {speculation.Passes} passes."));
        }
        return samples.Any(sample => sample.FinishReason == FinishReason.Cancelled) ? CommandLine.Interrupted : CommandLine.Done;

        // Only now are prompt and options known to be valid.
        void Begin()
        {
            firstToken = SinceProcessStart();
            if (live) output.Write(prompt);
        }
    }

    private static IReadOnlyList<float[]> Pictures(ParseResult request, ModelConfig model)
    {
        var files = request.GetRequiredValue(Image);
        if (files.Length == 0) return [];
        if (model.Vision is not { } vision)
            throw new InputException("--image: the model reads text alone, not pictures. Take one that was trained with model.vision.");
        return [.. files.Select(file => ImagePreprocessing.Pixels(PictureFile.Read(file), vision.Image))];
    }

    // Ranks that each had the whole model would generate the same text side by side, and those with other arguments wait for what never
    // comes.
    private static void CheckRanks(ParseResult request, ICollective ranks)
    {
        ranks.RequireEqual(
            string.Join(' ', request.Tokens.Select(token => token.Value)), (rank, its, first) =>
                $"generate: rank {rank} was given {its}, rank 0 {first}. Give all ranks the same.");
        var isShared = request.GetValue(TensorParallel);
        if (isShared && ranks.Ranks == 1)
            throw new InputException("--tensor-parallel: found one process, expected several. " +
                $"Start them by mpirun -np N {ShellCommand.Of(Name)}, or leave it out.");
        if (!isShared && ranks.Ranks > 1)
            throw new InputException($"generate: {ranks.Ranks} ranks would each generate the same. Give --tensor-parallel, " +
                "so that they share the model, or leave out mpirun or srun.");
    }

    private static (SamplingOptions Options, string Prompt, IReadOnlyList<PromptLine>? Prompts, int DraftTokens) Understand(
        ParseResult request)
    {
        RefuseWhatDoesNotGoTogether(request);
        var (options, prompt, count, draft) = (Sampling(request), ReadPrompt(request), request.GetValue(Count), request.GetValue(Draft));
        var draftTokens = request.GetValue(DraftTokens) ?? (draft is null ? 0 : DefaultDraftTokens);
        if (draft is not null && draftTokens == 0)
            throw new InputException("--draft-tokens: found 0, but --draft needs 1 or more; leave one of the two out.");
        if (draftTokens > 0 && count > 1)
            throw new InputException(
                $"--count: found {count}, but draft tokens are for one text alone; leave out --draft-tokens and --draft, or this.");
        return (options, prompt, request.GetValue(Prompts) is { } file ? PromptLine.Read(file, options) : null, draftTokens);
    }

    private static double SinceProcessStart() => (DateTime.Now - Process.GetCurrentProcess().StartTime).TotalSeconds;
}
