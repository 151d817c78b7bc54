using System.Text;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Runs;

namespace Transformer.Cli;

/// <summary>What <c>init</c> chooses for a text, by its size and its characters.</summary>
/// <param name="Tokenizer">The tokenizer's kind.</param>
/// <param name="Vocabulary">The number of its tokens.</param>
/// <param name="Tokens">The number of tokens of the text.</param>
internal sealed record InitialChoice(string Tokenizer, int Vocabulary, long Tokens)
{
    private const int MostCharacters = 256, LongestContext = 128, ShortestContext = 8, BatchSize = 12, Epochs = 20;
    private const int FewestSteps = 200, MostSteps = 2000, WholeSteps = 50;

    // Beyond this, a text is not searched for its characters.
    private const long MostBytesSearched = 1L << 26;
    private const long SmallText = 200_000;

    /// <summary>Character tokens if the text has at most 256 different characters, else byte tokens.</summary>
    /// <exception cref="InputException">The text is too short, or not UTF-8.</exception>
    public static InitialChoice For(TextSource text)
    {
        var (characters, length) = text.ByteLength <= MostBytesSearched ? Characters(text) : (int.MaxValue, 0);
        var choice = characters <= MostCharacters ? new InitialChoice("character", characters, length)
            : new InitialChoice("byte", byte.MaxValue + 1, text.ByteLength);
        return choice.Context >= ShortestContext ? choice
            : throw new InputException($"{text.Name}: {choice.Tokens} tokens are too few to train on and to validate; " +
                $"expected {10 * (ShortestContext + 1)} or more.");
    }

    // The tenth at the text's end, on which the run is validated, has to be longer than the context.
    private int Context =>
        Enumerable.Range(0, 6).Select(halvings => LongestContext >> halvings).FirstOrDefault(context => context < Tokens / 10);

    private int Steps => (int)Math.Clamp(
        Epochs * Tokens / (BatchSize * Context) / WholeSteps * WholeSteps, FewestSteps, MostSteps);

    private bool IsSmall => Tokens < SmallText;

    /// <inheritdoc/>
    public override string ToString() =>
        $"{Tokenizer} tokens, {Vocabulary} different ones; {Steps:n0} steps of {BatchSize} x {Context} tokens";

    /// <summary>The configuration.</summary>
    /// <param name="file">The file's own name, for the commands in it.</param>
    /// <param name="path">The text's path, as the file is to name it.</param>
    public string Yaml(string file, string path) => $$"""
        # train it:            {{ShellCommand.Of(TrainVerb.Name, file)}}
        # try another value:   {{ShellCommand.Of(TrainVerb.Name, file, "--set", "training.steps=100")}}
        # see every key:       {{ShellCommand.Of("config", "show", file)}}
        # what keys mean:      docs/configuration.md, or {{ShellCommand.Of("config", "schema")}}

        data:
          path: {{ConfigJson.ToJson(path).ToJsonString()}}    # from the folder of this file
          tokenizer: {kind: {{Tokenizer}}}    # {{(Tokenizer == "character"
              ? $"{Vocabulary} different characters in this text; kind byte takes any text" : "the model takes any text")}}
          # validation_fraction: 0.1    # the end of the text, which is not trained on

        model:
          width: {{(IsSmall ? 64 : 128)}}    # more width and layers learn more, and take longer
          layers: {{(IsSmall ? 3 : 4)}}
          context_length: {{Context}}    # the most tokens that the model sees at once
          attention: {kind: softmax, heads: 4, query_key_norm: true}
          position: {kind: rope}
          mlp: {kind: relu_squared}
          norm: {kind: rms}
          initialization: {kind: zero_projections}
          # dropout: 0.1    # where the validation loss rises while the training loss falls

        training:
          steps: {{Steps}}    # each reads batch_size x context_length of the text's {{Tokens:n0}} tokens
          batch_size: {{BatchSize}}
          optimizer:
            kind: muon
            learning_rate: 0.02
            weight_decay: 0.1
            adamw: {learning_rate: 1.0e-2, weight_decay: 0.1}    # for embeddings and norms
          schedule: {kind: cosine, warmup_steps: {{Steps / 20}}, final_ratio: 0.0}
          evaluate_every: {{Steps / 8}}
          checkpoint_every: {{Steps / 4}}
          sample_every: {{Steps / 4}}    # prints a sample
          # seed: 1337
          # precision: bf16    # faster where the processor has it
          # ema_decay: 0.99    # an average of the weights, which is evaluated and saved

        """;

    private static (int Different, long Length) Characters(TextSource text)
    {
        var (found, length) = (new HashSet<Rune>(), 0L);
        using var reader = text.Open();
        var buffer = new char[1 << 16];
        for (int read, held = 0; (read = reader.ReadBlock(buffer, held, buffer.Length - held)) > 0;)
        {
            // The first half of a pair waits for the second.
            var filled = held + read;
            held = char.IsHighSurrogate(buffer[filled - 1]) ? 1 : 0;
            foreach (var rune in buffer.AsSpan(0, filled - held).EnumerateRunes())
            {
                found.Add(rune);
                length++;
            }
            if (held > 0) buffer[0] = buffer[filled - 1];
        }
        return (found.Count, length);
    }
}
