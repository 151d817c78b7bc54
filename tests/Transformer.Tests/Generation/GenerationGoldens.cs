using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Model;
using Transformer.Tests.Layers.Attention;
using static TorchSharp.torch;

namespace Transformer.Tests.Generation;

/// <summary>The models that the generation tests share.</summary>
internal static class GenerationGoldens
{
    public static AttentionConfig FourHeads { get; } = new SoftmaxAttentionConfig { Heads = 4 };

    public static string PathOf(params string[] parts) => Path.Combine([AppContext.BaseDirectory, "Goldens", .. parts]);

    /// <summary>The reference Llama, with its own or its token embedding's head.</summary>
    public static TransformerModel Llama(string which)
    {
        var model = new TransformerModel(new ModelConfig
        {
            Width = 48,
            ContextLength = 40,
            Layers = 3,
            VocabularySize = 101,
            Attention = new SoftmaxAttentionConfig { Heads = 6, KvHeads = 2 },
            Mlp = new SwiGluMlpConfig { Hidden = 128 },
            TiedHead = which == "tied",
        });
        Fill(model, which);
        return model;
    }

    /// <summary>A small model with random weights, large enough that its logits differ clearly.</summary>
    public static TransformerModel Random(ModelConfig config)
    {
        manual_seed(7);
        var model = Tiny.Stir(new TransformerModel(config with { Initialization = new Gpt2InitializationConfig { Deviation = 0.2 } }));
        WindowCases.Spread(model);
        return model;
    }

    /// <summary>Greedy decoding as the definition has it: a pass over all that the model sees for every token.</summary>
    public static int[] WithoutCache(TransformerModel model, int[] prompt, int count)
    {
        using var inference = inference_mode();
        var context = model.Config.MostTokens;
        var (window, tokens) = (prompt.Select(token => (long)token).ToList(), new List<int>());
        while (tokens.Count < count)
        {
            if (window.Count > context) window = window[^(context / 2)..];
            using var scope = NewDisposeScope();
            var token = model.forward(tensor(window).unsqueeze(0), null)[0, -1].argmax().item<long>();
            window.Add(token);
            tokens.Add((int)token);
        }
        return [.. tokens];
    }

    private static void Fill(TransformerModel model, string which)
    {
        using var file = SafetensorsFile.Open(PathOf("llama", which, "model.safetensors"));
        foreach (var (name, parameter) in model.named_parameters()) file.ReadInto(name, parameter);
    }
}
