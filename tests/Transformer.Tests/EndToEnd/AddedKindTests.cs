using Transformer.Cli;

namespace Transformer.Tests.EndToEnd;

/// <summary>
/// An MLP, a norm and a mixer from a folder that knows the library by its packages only (tests/Transformer.KindsSample), given to the
/// command by <c>--kinds</c>.
/// </summary>
public sealed class AddedKindTests(AddedKindTests.Sample sample) : IClassFixture<AddedKindTests.Sample>
{
    [Fact]
    public void They_train_and_a_run_that_was_interrupted_ends_with_the_same_weights()
    {
        string[] steps = ["--set", "training.steps=2000", "--set", "training.evaluate_every=1000"];
        Done(["train", "kinds.yaml", "--out", "whole", .. steps]);
        using (var first = sample.Start(["train", "kinds.yaml", "--out", "parts", .. steps]))
        {
            first.Until(() => sample.Steps("parts") > 5);
            first.CtrlC();
            var (code, _, error) = first.Wait();
            Assert.True(code == CommandLine.Interrupted, error);
            Assert.Matches(@"Continue with: dotnet \S+Transformer\.Cli\.dll train --resume parts --kinds \S+KindsSample\.dll\n", error);
        }
        Done("train", "--resume", "parts");
        Assert.Equal(Weights("whole"), Weights("parts"));
        Assert.Contains("Transformer.KindsSample", File.ReadAllText(sample.Path("whole/environment.json")));

        byte[] Weights(string run) => File.ReadAllBytes(sample.Path($"{run}/checkpoints/step-2000/model.safetensors"));
    }

    [Fact]
    public void They_are_sampled_by_libtorch_and_evaluated()
    {
        var (text, notice) = Done("generate", sample.Trained, "--prompt", "line", "--max-tokens", "8", "--greedy");
        Assert.Equal(12, text.TrimEnd('\n').Length);
        Assert.Contains("Generating by libtorch", notice);
        Assert.Contains("not average", notice);
        Assert.Contains("\"loss\"", Done("evaluate", sample.Trained, "--data", "corpus.txt", "--json").Output);
    }

    [Theory]
    [InlineData("the CPU kernels know softmax, linear", "generate", "--quantize", "q8")]
    [InlineData("found average, which GGUF's gpt2 cannot express", "export", "--format", "gguf", "--out", "exported.gguf")]
    [InlineData("the ONNX graphs know softmax, linear", "export", "--format", "onnx", "--out", "exported")]
    [InlineData("found average, which Hugging Face's GPT-2 cannot express", "export", "--format", "safetensors", "--out", "exported")]
    public void What_cannot_compute_them_refuses_them_by_name(string expected, string verb, params string[] options)
    {
        var (code, _, error) = sample.Run([verb, sample.Trained, .. options]);
        Assert.Equal(CommandLine.Refused, code);
        Assert.Contains($"model.attention.kind: {expected}", error);
        Assert.Contains("average", error);
        Assert.Empty(Directory.EnumerateFileSystemEntries(sample.Folder, "exported*"));
    }

    [Fact]
    public void The_schema_describes_them()
    {
        var schema = Done("config", "schema").Output;
        Assert.Contains("down(relu(gate(x)) * up(x)) (Shazeer 2020).", schema);
        Assert.Contains("\"average\"", schema);
    }

    [Fact]
    public void Without_the_option_their_words_are_refused_with_advice()
    {
        var (code, _, error) = Command.Run(sample.Folder, "train", "kinds.yaml");
        Assert.Equal(CommandLine.Refused, code);
        Assert.Contains("model.mlp.kind: found reglu, expected one of gelu,", error);
        Assert.Contains("a kind of your own needs --kinds FILE.dll", error);
    }

    [Fact]
    public void A_record_that_names_other_parameters_than_its_layer_has_is_refused_by_name()
    {
        var (code, _, error) = sample.Run("train", "kinds.yaml", "--set", "model.mlp={kind: forgets_gate}");
        Assert.Equal(CommandLine.Refused, code);
        Assert.Contains("an added kind (average: AverageConfig, forgets_gate: ForgetsGate, scale: ScaleNormConfig)", error);
        Assert.Contains("model.layers.1.mlp.gate_proj.weight: a layer has it, but it is not specified", error);
    }

    [Fact]
    public void Ranks_that_split_layers_refuse_them_by_name()
    {
        const string Expert = "model.mlp={kind: mixture, experts: 2, active: 1, expert: {kind: reglu, hidden: 24}}";
        var (code, _, error) = sample.Run("train", "kinds.yaml", "--set", Expert, "--set", "training.distributed.strategy=tensor_parallel");
        Assert.Equal(CommandLine.Refused, code);
        Assert.Contains("model.attention.kind: tensor_parallel cannot split average", error);
        Assert.Contains("model.mlp.expert.kind: tensor_parallel cannot split reglu", error);
    }

    private (string Output, string Error) Done(params string[] arguments)
    {
        var (code, output, error) = sample.Run(arguments);
        Assert.True(code == CommandLine.Done, error);
        return (output, error);
    }

    /// <summary>The built assembly, a corpus, a configuration and a run of it, made once.</summary>
    public sealed class Sample : IDisposable
    {
        private readonly Workplace here = new();
        private readonly PackageFeed feed = new();
        private bool isTrained;

        public Sample()
        {
            feed.Pack("Transformer.Runtime");
            feed.Pack("Transformer");
            feed.Add("ForgetsGate.cs", """
                using Transformer.Configuration;
                using Transformer.Layers;
                using static TorchSharp.torch;

                namespace Transformer.KindsSample;

                /// <summary>A record without the gate that its layer has. It need not be public.</summary>
                [Kind("forgets_gate", typeof(Layer))]
                internal sealed record ForgetsGate : MlpConfig
                {
                    internal sealed class Layer : Layers.Mlp.Mlp
                    {
                        private readonly ReGlu inner;

                        public Layer(ForgetsGate config, int width) : base(nameof(Layer))
                        {
                            inner = new ReGlu(new ReGluConfig { Hidden = config.HiddenAt(width) }, width);
                            foreach (var (name, part) in inner.named_children()) register_module(name, part);
                        }

                        public override Tensor forward(Tensor x, ForwardContext context) => inner.call(x, context);
                    }
                }
                """);
            feed.Make("build", "Transformer.KindsSample", to: "out");
            here.Write("kinds.yaml", """
                model:
                  width: 16
                  context_length: 16
                  layers: 2
                  dropout: 0.1
                  attention: {kind: average}
                  position: {kind: learned}
                  mlp: {kind: reglu, hidden: 24}
                  norm: {kind: scale}
                data: {path: corpus.txt, tokenizer: {kind: character}}
                training:
                  steps: 20
                  batch_size: 2
                  evaluate_every: 10
                  evaluate_batches: 2
                  checkpoint_every: 10
                  sample_tokens: 0
                  schedule: {kind: constant}
                  optimizer: {kind: adamw, learning_rate: 1.0e-2}
                """);
        }

        public string Folder => here.Folder;

        public string Path(string name) => here[name];

        /// <summary>A finished run, which no test changes.</summary>
        public string Trained
        {
            get
            {
                if (!isTrained)
                {
                    var (code, _, error) = Run("train", "kinds.yaml", "--out", "trained");
                    Assert.True(code == CommandLine.Done, error);
                }
                isTrained = true;
                return "trained";
            }
        }

        public int Steps(string run) => here.Steps(run);

        internal Command Start(params string[] arguments) =>
            Command.Start(Folder, [.. arguments, "--kinds", feed["out/Transformer.KindsSample.dll"]]);

        public (int Code, string Output, string Error) Run(params string[] arguments)
        {
            using var command = Start(arguments);
            return command.Wait();
        }

        public void Dispose()
        {
            here.Dispose();
            feed.Dispose();
        }
    }
}
