using System.Runtime.InteropServices;
using Transformer.Configuration;
using Transformer.Generation;
using Transformer.Inference;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;
using Transformer.Model;
using Transformer.Tests.Inference;
using Transformer.Tokenization;

namespace Transformer.Tests.Generation;

/// <summary>Texts that are longer than the context: what is kept, what is dropped, what is said about it.</summary>
public sealed class ContextPolicyTests : IDisposable
{
    private const int Context = 64;
    private static readonly SamplingOptions Greedy = SamplingOptions.Greedy;

    private readonly TransformerModel made = new(Tiny.Config with { VocabularySize = 256, ContextLength = Context });
    private readonly InferenceModel model;

    public ContextPolicyTests() => model = CpuInferenceModel.TryCreate(made)!;

    public void Dispose()
    {
        model.Dispose();
        made.Dispose();
    }

    private static string Conversation =>
        $"system: count\n{string.Concat(Enumerable.Range(0, 65).Select(turn => $"user: {turn:d3}\n"))}bot:";

    [Theory]
    [InlineData(ContextPolicy.Slide)]
    [InlineData(ContextPolicy.Sinks)]
    [InlineData(ContextPolicy.Turns)]
    public void A_prompt_of_ten_contexts_is_read_and_what_was_dropped_is_told(ContextPolicy policy)
    {
        var generator = Generator(policy);
        var prompt = generator.Encode(Conversation);
        Assert.InRange(prompt.Length, 10 * Context, 12 * Context);
        var text = generator.Generate([prompt], Greedy with { MaxTokens = 1 }, cancellation: Now)[0];
        var expected = policy switch
        {
            ContextPolicy.Slide => new DroppedContext(policy, prompt.Length - Context / 2, 0),
            ContextPolicy.Sinks => new DroppedContext(policy, prompt.Length - Context, 0),
            _ => new DroppedContext(policy, 61 * 10, 61),
        };
        Assert.Equal((expected, FinishReason.MaxTokens), (text.Dropped, text.FinishReason));
    }

    // What is kept is read as a prompt of its own; sinks have their golden.
    [Theory]
    [InlineData(ContextPolicy.Slide)]
    [InlineData(ContextPolicy.Turns)]
    public void The_model_sees_exactly_what_is_kept(ContextPolicy policy)
    {
        var generator = Generator(policy);
        var prompt = generator.Encode(Conversation);
        int[] kept = policy == ContextPolicy.Slide ? prompt[^(Context / 2)..] : [.. prompt[..14], .. prompt[^44..]];
        Assert.Equal(
            Generator(null).Generate([kept], Greedy with { MaxTokens = 5 }, cancellation: Now)[0].Tokens,
            generator.Generate([prompt], Greedy with { MaxTokens = 5 }, cancellation: Now)[0].Tokens);
    }

    [Theory]
    [InlineData(null, FinishReason.MaxTokens)]
    [InlineData(ContextPolicy.Slide, FinishReason.MaxTokens)]
    [InlineData(ContextPolicy.Sinks, FinishReason.MaxTokens)]
    [InlineData(ContextPolicy.Turns, FinishReason.ContextFull)]
    [InlineData(ContextPolicy.Stop, FinishReason.ContextFull)]
    public void A_text_of_ten_contexts_goes_on_or_ends_and_nothing_is_lost_silently(ContextPolicy? policy, FinishReason expected)
    {
        var generator = Generator(policy);
        var text = generator.Generate([[1, 2, 3]], Greedy with { MaxTokens = 10 * Context }, cancellation: Now)[0];
        var goesOn = expected == FinishReason.MaxTokens;
        Assert.Equal((expected, goesOn ? 10 * Context : Context - 2), (text.FinishReason, text.Tokens.Count));
        Assert.Equal(goesOn ? policy ?? ContextPolicy.Slide : null, text.Dropped?.Policy);
        if (policy == ContextPolicy.Sinks) Assert.Equal(10 * Context + 3 - (Context + 1), text.Dropped!.Tokens);
    }

    [Theory]
    [InlineData(null, "or choose what is kept of it: --context-policy slide, sinks or turns")]
    [InlineData(ContextPolicy.Stop, "or choose what is kept of it")]
    [InlineData(ContextPolicy.Turns, "it has no lines `role: text`")]
    public void A_prompt_that_nothing_may_be_dropped_of_is_refused_with_what_to_do(ContextPolicy? policy, string advice)
    {
        var generator = Generator(policy);
        var message = Assert.Throws<InputException>(
            () => generator.Generate([new int[Context + 1]], Greedy, cancellation: Now)).Message;
        Assert.Contains("prompt: 65 tokens do not fit the context length of 64", message);
        Assert.Contains(advice, message);
    }

    [Theory]
    [InlineData(InferenceBackends.Cpu)]
    [InlineData(InferenceBackends.Torch)]
    public void Within_the_context_sinks_are_plain_attention_to_the_last_bit(string backend)
    {
        foreach (var kind in (string[])["rope", "rope_yarn", "alibi", "t5", "none", "value_residual"])
        {
            InferenceBackends.With(backend, kind, (model, _) =>
            {
                using var plain = model.NewState(rows: 1);
                using var dropping = model.NewDroppingState(rows: 1);
                Assert.Equal(Bits(plain), Bits(dropping));

                uint[] Bits(SequenceState state)
                {
                    List<uint> bits = [];
                    foreach (var part in (int[][])[[1, 5, 2, 7, 3, 4, 4], [1], [2], [3], [11], [0]])
                    {
                        model.Read(state, [0], [part.Length], part);
                        bits.AddRange(MemoryMarshal.Cast<float, uint>(model.Logits(0)).ToArray());
                    }
                    return [.. bits];
                }
            });
        }
    }

    // A prompt in one call, and the same token by token.
    [Theory]
    [InlineData(InferenceBackends.Cpu)]
    [InlineData(InferenceBackends.Torch)]
    public void What_sinks_see_does_not_depend_on_how_a_text_came(string backend) => InferenceBackends.With(backend, "rope", (model, _) =>
    {
        var generator = new TextGenerator(model) { ContextPolicy = ContextPolicy.Sinks };
        int[] prompt = [1, 5, 2, 7];
        var whole = generator.Generate([prompt], Greedy with { MaxTokens = 40 }, cancellation: Now)[0].Tokens;
        for (var read = 4; read < 40; read += 7)
        {
            int[] longer = [.. prompt, .. whole.Take(read)];
            var rest = generator.Generate([longer], Greedy with { MaxTokens = 40 - read }, cancellation: Now)[0].Tokens;
            Assert.Equal(whole.Skip(read), rest);
        }
    });

    [Theory]
    [InlineData(InferenceBackends.Cpu, "learned", "model.position")]
    [InlineData(InferenceBackends.Torch, "sinusoidal", "model.position")]
    [InlineData(InferenceBackends.Cpu, "sliding 3", "model.attention.window")]
    [InlineData(InferenceBackends.Cpu, "gated_delta", "model.attention: its recurrence")]
    [InlineData(InferenceBackends.Torch, "latent", "rotated already")]
    [InlineData(InferenceBackends.Cpu, "forgetting", "its scores fade")]
    [InlineData(InferenceBackends.Onnx, "rope", "ONNX graph")]
    [InlineData(InferenceBackends.Ranks, "rope", "ranks that share a model")]
    public void Models_that_cannot_keep_sinks_are_refused_by_name(string backend, string kind, string reason) =>
        InferenceBackends.With(backend, kind, (model, _) =>
        {
            var generator = new TextGenerator(model) { ContextPolicy = ContextPolicy.Sinks };
            var message = Assert.Throws<InputException>(() => generator.Generate([[1, 2]], Greedy, cancellation: Now)).Message;
            Assert.StartsWith("context policy: sinks cannot be kept (", message);
            Assert.Contains(reason, message);
        });

    [Fact]
    public void A_model_that_is_never_full_is_said_to_need_no_policy() =>
        InferenceBackends.With(InferenceBackends.Cpu, "recurrent memory", (model, _) =>
        {
            var generator = new TextGenerator(model) { ContextPolicy = ContextPolicy.Sinks };
            var message = Assert.Throws<InputException>(() => generator.Generate([[1, 2]], Greedy, cancellation: Now)).Message;
            Assert.EndsWith("Leave the policy out: such a model is never full.", message);
        });

    [Fact]
    public void A_long_text_under_sinks_takes_no_more_memory_than_its_context()
    {
        using var state = model.NewDroppingState(rows: 1);
        var bytes = state.Bytes;
        var allocated = 0L;
        for (var token = 0; token < 50 * Context; token++)
        {
            if (token == 2 * Context) allocated = GC.GetAllocatedBytesForCurrentThread();
            if (state.Lengths[0] == Context) state.Drop(0, 4, 1);
            model.Read(state, [0], [1], [token % 256]);
        }
        Assert.Equal((bytes, Context), (state.Bytes, state.Lengths[0]));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - allocated, 0, 1000);
    }

    private static CancellationToken Now => TestContext.Current.CancellationToken;

    private TextGenerator Generator(ContextPolicy? policy) => new(model, new ByteTokenizer()) { ContextPolicy = policy };
}
