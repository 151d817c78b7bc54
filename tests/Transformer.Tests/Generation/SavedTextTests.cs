using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Generation;
using Transformer.Inference;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;
using Transformer.Runs;
using Transformer.Tests.Onnx;
using Transformer.Tokenization;

namespace Transformer.Tests.Generation;

/// <summary>Files of saved texts: damaged, foreign, and of a process that is killed.</summary>
public sealed class SavedTextTests : IDisposable
{
    private const string FolderVariable = "TRANSFORMER_TEST_SAVED_TEXT";
    private static readonly string[] Values =
    [
        "", "0", "-1", "1", "12", "13", "2147483647", "9223372036854775808", "1e9", "cpu", "null", "{}", "0 0 0 0 0 0 0 0 0",
        "\ud83d\ude00\0",
    ];

    private static readonly string[] Settings =
        ["[null]", "[\"\"]", "\"slide\"", "\"turns\"", "\"end_of_text\"", "1e300", "-9223372036854775808", "true"];

    private static readonly CharacterTokenizer Letters = new([.. "abcdefghijklm".EnumerateRunes()]);

    private readonly TemporaryFolder folder = new();
    private readonly InferenceModel model = CpuInferenceModel.TryCreate(OnnxCases.ModelOf("rope"), threads: 1)!;

    public void Dispose()
    {
        model.Dispose();
        folder.Dispose();
    }

    private string Saved => folder["state"];

    private static CancellationToken Now => TestContext.Current.CancellationToken;

    [Fact]
    public void Mutated_files_are_refused_without_great_allocations_or_hold_the_same() => Mutate(files: 2000);

    [Fact(Explicit = true)]
    public void Ten_thousand_mutated_files_are_refused_without_great_allocations_or_hold_the_same() => Mutate(files: 10_000);

    private void Mutate(int files)
    {
        Save(8);
        var (bytes, random, expected) = (File.ReadAllBytes(Saved), new Random(7), Content());
        var (loaded, most) = (0, 0L);
        for (var file = 0; file < files; file++)
        {
            File.WriteAllBytes(Saved, Mutated(bytes, random));
            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                Assert.Equal(expected, Content());
                loaded++;
            }
            catch (InputException)
            {
                most = Math.Max(most, GC.GetAllocatedBytesForCurrentThread() - before);
            }
        }
        TestContext.Current.SendDiagnosticMessage(
            $"{loaded} of {files} hold the same; at most {most} bytes for a file of {bytes.Length}");
        Assert.InRange(loaded, 1, files - 1);
        Assert.InRange(most, 0, 200_000 + 16 * bytes.Length);
    }

    // As a program might write that knows the format.
    [Fact]
    public void Files_that_say_something_else_with_a_right_hash_are_refused_or_go_on()
    {
        Save(8);
        var (bytes, random, loaded) = (File.ReadAllBytes(Saved), new Random(8), 0);
        for (var file = 0; file < 200; file++)
        {
            File.WriteAllBytes(Saved, bytes);
            Forge(random);
            try
            {
                using var session = new TextGenerator(model, Letters).Resume(Saved, "", earlier => earlier with { MaxTokens = 2 });
                session.Run(cancellation: Now);
                loaded++;
            }
            catch (InputException)
            {
            }
        }
        Assert.InRange(loaded, 1, 199);
    }

    [Fact]
    public void A_state_of_something_else_is_refused_by_name()
    {
        Save(8);
        using var other = OnnxCases.ModelOf("alibi");
        using var libtorch = OnnxCases.ModelOf("rope");
        using var kernels = CpuInferenceModel.TryCreate(other)!;
        using var inTorch = new TorchInferenceModel(libtorch);
        using var retrained = CpuInferenceModel.TryCreate(Tiny.Model("rope"))!;
        Refuses(kernels, Letters, "another architecture");
        Refuses(inTorch, Letters, "another backend (found cpu, expected torch)");
        Refuses(retrained, Letters, "other weights");
        Refuses(model, new CharacterTokenizer([.. "bacdefghijklm".EnumerateRunes()]), "another tokenizer");
        Refuses(model, null, "another tokenizer");
        using (var state = model.NewState(rows: 1)) state.Save(Saved);
        Refuses(model, Letters, "holds a state without its text");
        File.WriteAllBytes(Saved, []);
        Refuses(model, Letters, "it has 0 bytes");
    }

    [Fact]
    public void What_cannot_go_on_is_refused_with_what_to_do()
    {
        var generator = new TextGenerator(model, Letters);
        Save(8);
        Assert.Contains(
            "without the context policy sinks",
            Message(() => new TextGenerator(model, Letters) { ContextPolicy = ContextPolicy.Sinks }.Resume(Saved, "", same => same)));
        Assert.Contains(
            "stop drops nothing more",
            Message(() => new TextGenerator(model, Letters) { ContextPolicy = ContextPolicy.Stop }.Resume(Saved, "abc", same => same)));
        Assert.Contains("14 tokens do not fit", Message(() => generator.Resume(Saved, "abcdefghijklma", same => same)));
        string[] letters = [.. "abcdefghijklm".Select(letter => $"{letter}")];
        using (var session = generator.Begin([1], SamplingOptions.Greedy with { Stop = letters }))
        {
            session.Run(cancellation: Now);
            session.Save(Saved);
        }
        Assert.Contains("its text has ended by itself", Message(() => generator.Resume(Saved, "", same => same)));
    }

    [Theory]
    [InlineData(ContextPolicy.Turns)]
    [InlineData(ContextPolicy.Stop)]
    public void Only_the_policy_that_dropped_something_goes_on(ContextPolicy policy)
    {
        Save(20);
        var generator = new TextGenerator(model, Letters) { ContextPolicy = policy };
        Assert.Contains("the context policy slide has dropped", Message(() => generator.Resume(Saved, "", same => same)));
        Save(8);
        generator.Resume(Saved, "", same => same).Dispose();
    }

    [Fact]
    public void What_a_text_goes_on_with_is_checked_like_what_it_begins_with()
    {
        using (var session = new TextGenerator(model).Begin([1, 5], new SamplingOptions { MaxTokens = 2 }))
        {
            session.Run(cancellation: Now);
            session.Save(Saved);
        }
        Assert.Contains("stop strings need a tokenizer", Message(
            () => new TextGenerator(model).Resume(Saved, "", earlier => earlier with { Stop = ["a"] })));
        Assert.Contains("turns are found in text", Message(
            () => new TextGenerator(model) { ContextPolicy = ContextPolicy.Turns }.Resume(Saved, "", same => same)));
        var more = new TextGenerator(model, new CharacterTokenizer([.. "abcdefghijklmn".EnumerateRunes()]));
        using (var session = more.Begin([1, 5], new SamplingOptions { MaxTokens = 2 }))
        {
            session.Run(cancellation: Now);
            session.Save(Saved);
        }
        Assert.Contains("token 13 is not in the vocabulary of 13", Message(() => more.Resume(Saved, "n", same => same)));
    }

    [Fact]
    public void Killed_while_it_saves_a_process_leaves_the_last_or_the_new_state() => Kill(times: 2);

    [Fact(Explicit = true)]
    public void Killed_a_hundred_times_while_it_saves_a_process_leaves_the_last_or_the_new_state() => Kill(times: 100);

    private void Kill(int times)
    {
        var random = new Random(9);
        for (var kill = 0; kill < times; kill++)
        {
            var method = $"{typeof(SavedTextTests).FullName}.{nameof(Saves_again_and_again)}";
            string[] arguments = [typeof(SavedTextTests).Assembly.Location, "-method", method, "-explicit", "only"];
            var start = new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true };
            start.Environment[FolderVariable] = folder.Path;
            using var process = Process.Start(start)!;
            var log = folder[$"saved-{process.Id}"];
            while (!File.Exists(log) || new FileInfo(log).Length == 0)
            {
                Assert.False(process.HasExited);
                Thread.Sleep(5);
            }
            Thread.Sleep(random.Next(200));
            process.Kill();
            process.WaitForExit();
            var reported = (int)new FileInfo(log).Length;    // a byte for each state that was saved
            var (_, tokens, state) = SavedText.Read(Saved, model, Letters);
            state.Dispose();
            Assert.InRange(tokens.Length, reported, reported + 1);
        }
        Save(8);    // clears away what was left
        Assert.Equal(1 + times, folder.Names.Count());
    }

    [Fact(Explicit = true)]
    public void Saves_again_and_again()
    {
        var shared = Environment.GetEnvironmentVariable(FolderVariable)
            ?? throw new InvalidOperationException($"{FolderVariable} is not set");
        var file = Path.Combine(shared, $"saved-{Environment.ProcessId}");
        using var log = new FileStream(file, FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0);
        for (var tokens = 1; ; tokens++)
        {
            using var state = model.NewState(rows: 1);
            new SavedText
            {
                Chosen = 0,
                Head = 1,
                Window = 1,
                DroppedTurns = 0,
                Policy = null,
                Random = 0,
                Held = "",
                Finished = FinishReason.MaxTokens,
                Options = new(),
                Constraint = null,
            }.Write(Path.Combine(shared, "state"), model, state, Letters, new int[tokens]);
            log.WriteByte(1);
        }
    }

    // All that a file says, of the state its bits.
    private string Content()
    {
        var (text, tokens, state) = SavedText.Read(Saved, model, Letters);
        using (state)
        {
            var parts = state.Parts(0).SelectMany(part =>
            {
                var numbers = new float[part.Count];
                part.CopyTo(numbers);
                return numbers.Select(BitConverter.SingleToUInt32Bits).Prepend((uint)part.Count);
            });
            return $"{text with { Options = null! }} {ConfigJson.ToJson(text.Options)} {string.Join(' ', tokens)} {state.Capacity} " +
                $"{state.Lengths[0]} {string.Join(' ', parts)}";
        }
    }

    private void Save(int tokens)
    {
        using var session = new TextGenerator(model, Letters).Begin([1, 5], new SamplingOptions { MaxTokens = tokens, Stop = ["abcabc"] });
        session.Run(cancellation: Now);
        session.Save(Saved);
    }

    private void Refuses(InferenceModel other, Tokenizer? tokenizer, string reason) => Assert.Contains(
        reason, Message(() => new TextGenerator(other, tokenizer).Resume(Saved, "", same => same)));

    private static string Message(Func<TextSession> resume) => Assert.Throws<InputException>(() => resume().Dispose()).Message;

    private static byte[] Mutated(byte[] bytes, Random random)
    {
        byte[] copy = [.. bytes];
        switch (random.Next(4))
        {
            case 0:
                for (var flips = 1 + random.Next(3); flips > 0; flips--) copy[random.Next(copy.Length)] ^= (byte)(1 << random.Next(8));
                return copy;
            case 1:
                return copy[..random.Next(copy.Length)];
            case 2:
                BinaryPrimitives.WriteInt64LittleEndian(copy, random.NextInt64() >> random.Next(64));
                return copy;
            default:
                var length = (int)BinaryPrimitives.ReadInt64LittleEndian(copy);
                var header = JsonNode.Parse(copy.AsSpan(8, length))!.AsObject();
                Edit(header[header.ElementAt(random.Next(3) == 0 ? 0 : random.Next(header.Count)).Key]!.AsObject(), random);
                var edited = Encoding.UTF8.GetBytes(header.ToJsonString());
                BinaryPrimitives.WriteInt64LittleEndian(copy, edited.Length);
                return [.. copy[..8], .. edited, .. copy[(8 + length)..]];
        }
    }

    // Of a tensor's entry or the metadata one value, to another of its type; sometimes none.
    private static void Edit(JsonObject values, Random random)
    {
        var (key, value) = values.ElementAt(random.Next(values.Count));
        if (random.Next(8) == 0) return;
        if (random.Next(8) == 0) values.Remove(key);
        else if (value is JsonArray numbers) numbers[random.Next(numbers.Count)] = random.NextInt64() >> random.Next(64);
        else values[key] = Values[random.Next(Values.Length)];
    }

    private void Forge(Random random)
    {
        Dictionary<string, string> metadata;
        List<StoredTensor> tensors = [];
        using (var file = SafetensorsFile.Open(Saved))
        {
            metadata = new(file.Metadata);
            foreach (var name in file.Names)
            {
                if (name == "text") tensors.Add(new TokenTensor(name, Tokens(file.Tensor(name))));
                else tensors.Add(new FloatTensor(name, file.Tensor(name).ToFloat32()));
            }
        }
        var text = JsonNode.Parse(metadata["text"])!.AsObject();
        var settings = random.Next(2) == 0 ? text : text["options"]!.AsObject();
        var key = settings.ElementAt(random.Next(settings.Count)).Key;
        settings[key] = JsonNode.Parse(random.Next(3) switch
        {
            0 => "null",
            1 => random.Next(-3, 20).ToString(CultureInfo.InvariantCulture),
            _ => Settings[random.Next(Settings.Length)],
        });
        metadata["text"] = text.ToJsonString();
        if (random.Next(4) == 0) metadata[metadata.Keys.ElementAt(random.Next(metadata.Count))] = Values[random.Next(Values.Length)];
        metadata["hash"] = StateFile.HashOf(metadata, tensors);
        SafetensorsWriter.Write(Saved, tensors, metadata);

        static int[] Tokens(StoredTensor tensor)
        {
            var tokens = new int[tensor.Count];
            tensor.CopyTo<int>(tokens);
            return tokens;
        }
    }

    private sealed record FloatTensor(string Name, float[] Numbers) : StoredTensor(Name, ElementType.F32, [Numbers.Length])
    {
        public override void Visit(Action<ReadOnlySpan<byte>> visitor) =>
            visitor(System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(Numbers));
    }
}
