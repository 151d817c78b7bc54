using Transformer.Configuration;
using Transformer.Generation.Decoding;
using Transformer.Model;
using static TorchSharp.torch;

namespace Transformer.Tests.Generation.Decoding;

// B rows · T tokens · V vocabulary

public sealed class DecodeEngineTests
{
    private const double Tolerance = 1e-4;

    private static readonly SoftmaxAttentionConfig FourHeads = new() { Heads = 4, KvHeads = 2 };

    // What the tiny models leave out.
    private static Dictionary<string, ModelConfig> More { get; } = new()
    {
        ["biases, soft cap, normalised queries"] = Tiny.Config with { Attention = FourHeads with { Bias = true, LogitSoftCap = 5, QueryKeyNorm = true } },
        ["grown dynamic ntk"] = Tiny.Config with { Position = new RotaryPositionConfig { Scaling = new DynamicNtkScalingConfig { Factor = 4, OriginalLength = 5 } } },
        ["linear scaling"] = Tiny.Config with { Position = new RotaryPositionConfig { Scaling = new LinearScalingConfig { Factor = 2 } } },
        ["llama3 scaling"] = Tiny.Config with { Position = new RotaryPositionConfig { Scaling = new Llama3ScalingConfig { Factor = 4, OriginalLength = 8 } } },
        ["relative with a soft mask"] = Tiny.Config with { Position = Tiny.Positions["relative"], Attention = FourHeads with { Window = Tiny.Windows["dynamic"] } },
        ["untied head, width that no vector fits"] = Tiny.Config with { Width = 20, TiedHead = false, Attention = new SoftmaxAttentionConfig { Heads = 2, HeadWidth = 6 } },
        ["muP"] = Tiny.Config with { Initialization = new MupInitializationConfig { BaseWidth = 4, Deviation = 0.3 } },
        ["no MLP"] = Tiny.Config with { Mlp = new NoMlpConfig() },
        ["no layers"] = Tiny.Config with { Layers = 0 },
        ["one expert of four, with biases"] = Tiny.Config with { Mlp = Tiny.Mixture with { Active = 1, Expert = new GeluMlpConfig { Hidden = 24, Bias = true } } },
    };

    public static TheoryData<string> Kinds =>
    [
        .. Tiny.Models.Keys,
        .. Tiny.Mlps.Keys.Select(name => $"mlp {name}"),
        .. Tiny.Norms.Keys.Select(name => $"norm {name}"),
        .. More.Keys,
    ];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Prompts_and_steps_of_rows_of_unequal_length_give_the_logits_of_the_model(string kind)
    {
        using var model = Model(kind);
        using var engine = DecodeEngine.TryCreate(model)!;
        using var state = engine.NewState(rows: 3);
        int[][] texts = [Text(7), Text(12), Text(4)];
        var expected = texts.Select(text => Logits(model, text)).ToArray();
        int[] read = [3, 8, 1];

        Compare(engine.Read(state, [0, 1, 2], read, [.. texts.SelectMany((text, row) => text[..read[row]])], all: true), [(0, 0, 3), (1, 0, 8), (2, 0, 1)]);
        while (texts.Select((text, row) => read[row] < text.Length).Any(goes => goes))
        {
            int[] rows = [.. Enumerable.Range(0, 3).Where(row => read[row] < texts[row].Length)];
            var logits = engine.Read(state, rows, [.. rows.Select(_ => 1)], [.. rows.Select(row => texts[row][read[row]])]);
            Compare(logits, [.. rows.Select(row => (row, read[row]++, 1))]);
        }
        Assert.Equal(texts.Select(text => text.Length), state.Lengths);

        void Compare(Span<float> logits, (int Row, int From, int Count)[] parts)
        {
            foreach (var (row, from, count) in parts)
            {
                var size = count * engine.Config.VocabularySize!.Value;
                var part = expected[row].AsSpan(from * engine.Config.VocabularySize.Value, size);
                for (var i = 0; i < size; i++) Near.Equal(part[i], logits[i], Tolerance, $"row {row} from token {from}, number {i}");
                logits = logits[size..];
            }
        }
    }

    private static TransformerModel Model(string kind)
    {
        manual_seed(11);
        if (Tiny.Models.ContainsKey(kind)) return Tiny.Model(kind);
        var config = kind.StartsWith("mlp ", StringComparison.Ordinal) ? Tiny.Config with { Mlp = Tiny.Mlps[kind[4..]] }
            : kind.StartsWith("norm ", StringComparison.Ordinal) ? Tiny.Config with { Norm = Tiny.Norms[kind[5..]] }
            : More[kind];
        var model = Tiny.Stir(new TransformerModel(config));
        Layers.Attention.WindowCases.Spread(model);
        return model;
    }

    private static int[] Text(int tokens) => [.. Tiny.Ids(1, tokens).data<long>().Select(id => (int)id)];

    private static float[] Logits(TransformerModel model, int[] text)
    {
        using var inference = inference_mode();
        model.eval();
        return [.. model.forward(tensor(text.Select(token => (long)token).ToArray()).unsqueeze(0), null).contiguous().data<float>()];
    }
}
