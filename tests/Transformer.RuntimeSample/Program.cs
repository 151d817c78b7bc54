using Transformer.Generation;
using Transformer.Inference.Cpu;

// Writes a text from nothing with the model of a checkpoint's folder: 200 tokens, always the most probable one.
using var loaded = CheckpointInference.TryOpen(args[0], WeightFormat.AsIs, Environment.ProcessorCount)
    ?? throw new ArgumentException($"{args[0]}: its weights are of a type that the processor's kernels do not read");
var generator = new TextGenerator(loaded.Model, loaded.Tokenizer);
generator.GenerateText([""], SamplingOptions.Greedy with { MaxTokens = 200 }, onText: (_, text) => Console.Out.Write(text));
