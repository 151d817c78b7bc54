using Transformer.Generation;
using Transformer.Inference.Cpu;

// Writes what the model of a checkpoint's folder says of its own accord: 200 tokens, always the most probable one.
using var loaded = CheckpointInference.TryOpen(args[0], WeightFormat.AsIs, Environment.ProcessorCount)
    ?? throw new ArgumentException($"{args[0]}: its weights are of a type that the processor's kernels do not read");
var generator = new TextGenerator(loaded.Model, loaded.Tokenizer);
var story = generator.GenerateText([""], SamplingOptions.Greedy with { MaxTokens = 200 })[0];
Console.Out.Write(story.Text);
