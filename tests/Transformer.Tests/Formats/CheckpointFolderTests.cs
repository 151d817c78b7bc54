using System.Text.Json.Nodes;
using TorchSharp;
using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Model;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Tests.Formats;

public sealed class CheckpointFolderTests : IDisposable
{
    private static readonly ModelConfig Model = new()
    {
        Width = 4,
        ContextLength = 8,
        Layers = 1,
        VocabularySize = 5,
        Attention = new SoftmaxAttentionConfig { Heads = 2 },
    };

    private readonly TemporaryFolder folder = new();
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose()
    {
        scope.Dispose();
        folder.Dispose();
    }

    // keep_checkpoints: 1 deletes the one that is being read as soon as there is another.
    [Fact]
    public void A_run_that_goes_on_while_it_is_read_is_read_from_the_checkpoint_that_it_has_now()
    {
        Directory.CreateDirectory(folder["run/checkpoints"]);
        folder.Write("run/checkpoints/latest", "step-1\n");
        var reads = 0;
        Assert.Equal("step-2", CheckpointPointer.Follow(folder["run"], () =>
        {
            var name = File.ReadAllText(folder["run/checkpoints/latest"]).Trim();
            if (reads++ > 0) return name;
            folder.Write("run/checkpoints/latest", "step-2\n");
            throw new InputException("step-1: no such folder");
        }));
        Assert.Throws<InputException>(() => CheckpointPointer.Follow<int>(folder["run"], () => throw new InputException("damaged")));
        Assert.Equal(2, reads);
    }

    [Fact]
    public void A_saved_model_is_read_into_another_one()
    {
        var saved = Weights(1);
        CheckpointFolder.Save(folder["step-1"], Model, saved.ToStored());
        using var checkpoint = CheckpointFolder.Open(folder["step-1"]);
        var other = Weights(0);
        checkpoint.CopyInto(other);
        Assert.Equal(Model, checkpoint.Model);
        foreach (var (expected, actual) in saved.Zip(other)) TensorAssert.Same(expected.Value, actual.Value, expected.Name);
    }

    [Fact]
    public void A_configuration_of_more_blocks_and_experts_than_tensors_is_refused_at_once()
    {
        var experts = new MixtureMlpConfig { Experts = 4, Active = 1, Expert = new GeluMlpConfig() };
        var larger = Model with { Layers = 4, Mlp = experts };
        CheckpointFolder.Save(folder["step-1"], larger, Weights(1).ToStored());
        using var checkpoint = CheckpointFolder.Open(folder["step-1"]);
        Assert.Contains("larger than its", Assert.Throws<InputException>(checkpoint.CheckSize).Message);
    }

    public static TheoryData<string> Deep => [.. Tiny.Deep.Keys];

    [Theory]
    [MemberData(nameof(Deep))]
    public void A_saved_model_of_any_residual_computes_the_same(string kind)
    {
        using var model = Tiny.Stir(new TransformerModel(Tiny.Deep[kind]));
        CheckpointFolder.Save(folder[kind], model.Config, model.Weights.ToStored());
        using var checkpoint = CheckpointFolder.Open(folder[kind]);
        Assert.Equal(model.Config, checkpoint.Model);
        using var again = new TransformerModel(checkpoint.Model, draw: false);
        checkpoint.CopyInto(again.Weights);
        var ids = Tiny.Ids(2, 5);
        Near.Equal(model.call(ids, null), again.call(ids, null), 0);
    }

    [Fact]
    public void Other_tools_find_a_Llama_where_the_model_is_one()
    {
        CheckpointFolder.Save(folder["llama"], Model, Weights(0).ToStored());
        CheckpointFolder.Save(folder["own"], Model with { Norm = new LayerNormConfig() }, Weights(0).ToStored());
        Assert.Equal("llama", (string?)Json("llama/config.json")["model_type"]);
        Assert.Equal(4, (int?)Json("llama/config.json")["hidden_size"]);
        Assert.Equal("transformer", (string?)Json("own/config.json")["model_type"]);
        using var own = CheckpointFolder.Open(folder["own"]);
        Assert.Equal(new LayerNormConfig(), own.Model.Norm);
    }

    [Fact]
    public void Hugging_Faces_folders_open_as_they_are()
    {
        using var checkpoint = CheckpointFolder.Open(Golden("llama/untied"));
        Assert.Contains("lm_head.weight", checkpoint.Names);
        using var file = CheckpointFolder.Open(Golden("llama/tied/final_weights.safetensors"));
        Assert.Equal(101, file.Model.VocabularySize);
        Assert.Contains(
            "import", Assert.Throws<InputException>(() => CheckpointFolder.Open(Golden("nanogpt/bias/weights.safetensors"))).Message);
    }

    [Theory]
    [InlineData("width", "2147483647")]
    [InlineData("width", "-1")]
    [InlineData("context_length", "2147483647")]
    [InlineData("vocabulary_size", "null")]
    [InlineData("layers", "\"many\"")]
    [InlineData("attention", """{"kind":"psychic"}""")]
    [InlineData("atention", "{}")]
    public void A_forged_architecture_is_refused(string key, string value)
    {
        CheckpointFolder.Save(folder["a"], Model, Weights(0).ToStored());
        var config = Json("a/config.json");
        config["transformer"]![key] = JsonNode.Parse(value);
        File.WriteAllText(folder["a/config.json"], config.ToJsonString());
        Assert.Contains(key, Assert.Throws<InputException>(() => CheckpointFolder.Open(folder["a"])).Message);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Any_change_of_bytes_in_a_config_is_refused_or_read(bool own)
    {
        CheckpointFolder.Save(folder["a"], Model, Weights(0).ToStored());
        var whole = File.ReadAllBytes(own ? folder["a/config.json"] : Golden("llama/tied/config.json"));
        var random = new Random(1337);
        var accepted = 0;
        for (var n = 0; n < 1_000; n++)
        {
            var changed = (byte[])whole.Clone();
            for (var changes = random.Next(1, 4); changes > 0; changes--)
                changed[random.Next(changed.Length)] = random.Next(2) == 0 ? (byte)random.Next(256)
                    : (byte)"{}[]:,\"\\019-u"[random.Next(13)];
            File.WriteAllBytes(folder["a/config.json"], changed);
            try
            {
                CheckpointConfig.Read(folder["a/config.json"]);
                accepted++;
            }
            catch (InputException) { }
        }
        Assert.InRange(accepted, 1, 999);
    }

    [Fact]
    public void A_model_that_is_no_Qwen_3_by_its_epsilon_is_saved_and_read()
    {
        var model = Model with
        {
            Attention = new SoftmaxAttentionConfig { Heads = 2, QueryKeyNorm = true },
            Norm = new RmsNormConfig { Epsilon = 1e-6 },
        };
        CheckpointFolder.Save(folder["a"], model, Weights(0).ToStored());
        using var read = CheckpointFolder.Open(folder["a"]);
        Assert.Equal(model, read.Model);
        Assert.Equal("transformer", (string)Json("a/config.json")["model_type"]!);
    }

    [Fact]
    public void A_mark_that_is_not_UTF_8_is_refused()
    {
        Directory.CreateDirectory(folder["run/checkpoints"]);
        File.WriteAllBytes(folder["run/checkpoints/latest"], [.. "step-"u8, 0xE9]);
        Assert.Equal(
            $"{folder["run/checkpoints/latest"]}: cannot be read (found bytes that are not UTF-8)",
            Assert.Throws<InputException>(() => CheckpointFolder.Open(folder["run"])).Message);
    }

    [Fact]
    public void A_run_opens_at_its_latest_checkpoint()
    {
        foreach (var step in new[] { 1, 2 })
        {
            CheckpointFolder.Save(folder[$"run/checkpoints/step-{step}"], Model, Weights(step).ToStored());
            CheckpointPointer.Set(folder[$"run/checkpoints/step-{step}"], step == 1 ? CheckpointPointer.Best : CheckpointPointer.Latest);
        }
        using (var latest = CheckpointFolder.Open(folder["run"])) Assert.EndsWith("step-2", latest.Folder);
        File.Delete(folder["run/checkpoints/latest"]);
        using (var best = CheckpointFolder.Open(folder["run"])) Assert.EndsWith("step-1", best.Folder);
    }

    [Theory]
    [InlineData("step-7")]
    [InlineData("../../elsewhere")]
    [InlineData("")]
    public void A_mark_that_names_no_checkpoint_is_refused(string name)
    {
        Directory.CreateDirectory(folder["run/checkpoints"]);
        CheckpointFolder.Save(folder["elsewhere"], Model, Weights(0).ToStored());
        File.WriteAllText(folder["run/checkpoints/latest"], name);
        Assert.Contains("no checkpoint", Assert.Throws<InputException>(() => CheckpointFolder.Open(folder["run"])).Message);
    }

    [Fact]
    public void Paths_without_a_model_are_refused_with_what_was_expected()
    {
        File.WriteAllText(folder["notes.txt"], "");
        Assert.Contains("holds no model, expected", Assert.Throws<InputException>(() => CheckpointFolder.Open(folder.Path)).Message);
        Assert.Contains(
            "holds no model, expected", Assert.Throws<InputException>(() => CheckpointFolder.Open(folder["notes.txt"])).Message);
        Assert.Contains("no such file or folder", Assert.Throws<InputException>(() => CheckpointFolder.Open(folder["nothing"])).Message);
    }

    [Fact]
    public void All_mismatches_are_listed_at_once_and_nothing_is_copied()
    {
        CheckpointFolder.Save(folder["a"], Model, [ones(2).ToStored("same"), ones(3, 4).ToStored("wide"), ones(1).ToStored("old")]);
        using var checkpoint = CheckpointFolder.Open(folder["a"]);
        var same = zeros(2);
        var error = Assert.Throws<InputException>(() => checkpoint.CopyInto([("same", same), ("wide", zeros(3, 5)), ("new", zeros(7))]));
        Assert.Equal(
            $"""
            {folder["a/model.safetensors"]}: 3 tensors do not fit this model
              wide: file [3, 4], model [3, 5]
              new: not in the file, model [7]
              old: file [1], not in the model
            """, error.Message);
        Assert.Equal(0, same.sum().item<float>());
    }

    [Fact]
    public void What_a_run_needs_to_go_on_comes_back()
    {
        CheckpointFolder.Save(folder["a"], Model, tokenizer: null, new JsonObject { ["step"] = 7 }, partial =>
        {
            WeightFiles.Write(partial, Weights(0).ToStored());
            TrainingTensors.Write(partial, [("moment", arange(3))]);
        });
        using var checkpoint = CheckpointFolder.Open(folder["a"]);
        using var training = checkpoint.OpenTraining();
        Assert.Equal(7, (int?)checkpoint.TrainingState()["step"]);
        TensorAssert.Same(arange(3), training.Read("moment"));
    }

    [Fact]
    public void The_tokenizer_goes_with_the_model()
    {
        CheckpointFolder.Save(folder["a"], Model, Weights(0).ToStored(), new ByteTokenizer());
        CheckpointFolder.Save(folder["b"], Model, Weights(0).ToStored());
        using var with = CheckpointFolder.Open(folder["a"]);
        using var without = CheckpointFolder.Open(folder["b"]);
        Assert.Equal(new ByteTokenizer().Encode("né"), with.ReadTokenizer().Encode("né"));
        Assert.False(without.HasTokenizer);
        Assert.Throws<InputException>(without.ReadTokenizer);
    }

    [Fact]
    public void A_failed_save_keeps_the_old_checkpoint_and_leaves_nothing_beside_it()
    {
        CheckpointFolder.Save(folder["a"], Model, Weights(1).ToStored());
        var failing = Weights(2).Select((pair, n) => n == 0 ? pair : throw new IOException("No space left on device"));
        Assert.Contains(
            "No space left", Assert.Throws<InputException>(() => CheckpointFolder.Save(folder["a"], Model, failing.ToStored())).Message);
        Assert.Equal([folder["a"]], Directory.GetFileSystemEntries(folder.Path));
        CheckpointFolder.Save(folder["a"], Model, Weights(2).ToStored());
        using var checkpoint = CheckpointFolder.Open(folder["a"]);
        TensorAssert.Same(Weights(2)[0].Value, checkpoint.Read("model.norm.weight"));
        Assert.Equal([folder["a"]], Directory.GetFileSystemEntries(folder.Path));
    }

    [Fact]
    public void A_sharded_model_is_read_through_its_index()
    {
        WriteShards("""{"weight_map":{"x":"model-1.safetensors","y":"model-2.safetensors"}}""");
        using var checkpoint = CheckpointFolder.Open(folder.Path);
        var (x, y) = (zeros(2), zeros(3));
        checkpoint.CopyInto([("x", x), ("y", y)]);
        Assert.Equal(5, (x.sum() + y.sum()).item<float>());
    }

    [Theory]
    [InlineData("""{"weight_map":{"x":"../model-1.safetensors"}}""", "of the same folder")]
    [InlineData("""{"weight_map":{"x":"/etc/passwd"}}""", "of the same folder")]
    [InlineData("""{"weight_map":{"x":7}}""", "expected a string")]
    [InlineData("""{"weight_map":{"x":"model-2.safetensors"}}""", "no such tensor")]
    [InlineData("""{"weight_map":{"x":"model-3.safetensors"}}""", "cannot be read")]
    [InlineData("""{"weight_map":7}""", "expected an object")]
    [InlineData("{}", "weight_map is missing")]
    public void A_false_index_is_refused(string index, string expected)
    {
        WriteShards(index);
        Assert.Contains(expected, Assert.Throws<InputException>(() => CheckpointFolder.Open(folder.Path)).Message);
    }

    private static string Golden(string name) => Path.Combine(AppContext.BaseDirectory, "Goldens", name);

    private static (string Name, Tensor Value)[] Weights(double value) =>
        [("model.norm.weight", full(4, value)), ("model.embed_tokens.weight", nn.Parameter(full(5, 4, value + 1)))];

    private JsonNode Json(string name) => JsonNode.Parse(File.ReadAllText(folder[name]))!;

    private void WriteShards(string index)
    {
        SafetensorsWriter.Write(folder["model-1.safetensors"], [ones(2).ToStored("x")]);
        SafetensorsWriter.Write(folder["model-2.safetensors"], [ones(3).ToStored("y")]);
        File.WriteAllText(folder["model.safetensors.index.json"], index);
        File.Copy(Golden("llama/tied/config.json"), folder["config.json"]);
    }
}
