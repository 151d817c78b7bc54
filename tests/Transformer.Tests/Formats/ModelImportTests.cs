using TorchSharp;
using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Formats;
using static TorchSharp.torch;

namespace Transformer.Tests.Formats;

public sealed class ModelImportTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose()
    {
        scope.Dispose();
        folder.Dispose();
    }

    [Theory]
    [InlineData("nanogpt/bias/weights.safetensors")]
    [InlineData("nanogpt/nobias/weights.safetensors")]
    public void NanoGpt_goes_to_our_names_and_back_unchanged(string golden)
    {
        using var file = SafetensorsFile.Open(Golden(golden));
        using var imported = ModelImport.Import(Golden(golden));
        var back = HuggingFaceNames.ToGpt2(imported.Tensors, LinearLayout.OutIn);
        var expected = file.Names.Where(name => name != "lm_head.weight").ToList();    // the tied head's copy
        Assert.Equal(expected.Order(), back.Keys.Order());
        foreach (var name in expected) TensorAssert.Same(file.Read(name), back[name], name);
    }

    [Fact]
    public void The_rows_of_c_attn_are_those_of_q_then_k_then_v()
    {
        using var file = SafetensorsFile.Open(Golden("nanogpt/bias/weights.safetensors"));
        using var imported = ModelImport.Import(Golden("nanogpt/bias/weights.safetensors"));
        var joined = file.Read("transformer.h.1.attn.c_attn.weight");
        TensorAssert.Same(joined[..32], imported.Tensors["model.layers.1.self_attn.q_proj.weight"]);
        TensorAssert.Same(joined[32..64], imported.Tensors["model.layers.1.self_attn.k_proj.weight"]);
        TensorAssert.Same(joined[64..], imported.Tensors["model.layers.1.self_attn.v_proj.weight"]);
        TensorAssert.Same(file.Read("transformer.h.1.attn.c_attn.bias")[32..64], imported.Tensors["model.layers.1.self_attn.k_proj.bias"]);
    }

    [Fact]
    public void The_transposed_matrices_of_Hugging_Faces_GPT_2_give_the_same_model()
    {
        using var imported = ModelImport.Import(Golden("nanogpt/bias/weights.safetensors"));
        var transposed = HuggingFaceNames.ToGpt2(imported.Tensors, LinearLayout.InOut);
        Assert.Equal([32, 96], transposed["transformer.h.0.attn.c_attn.weight"].Shape);
        Assert.Equal([32, 128], transposed["transformer.h.0.mlp.c_fc.weight"].Shape);
        WriteModel("gpt2", HuggingFaceConfig.ToGpt2(imported.Model).ToJsonString(), transposed.Values);
        using var again = ModelImport.Import(folder["gpt2"]);
        Assert.Equal(imported.Model, again.Model);
        AssertSame(imported.Tensors, again.Tensors);
    }

    [Theory]
    [InlineData("")]
    [InlineData("transformer.")]
    [InlineData("_orig_mod.transformer.")]
    public void Prefixes_masks_and_the_tied_heads_copy_are_left_out(string prefix)
    {
        using var imported = ModelImport.Import(Golden("nanogpt/bias/weights.safetensors"));
        var gpt2 = HuggingFaceNames.ToGpt2(imported.Tensors, LinearLayout.OutIn)
            .Select(pair => pair.Value with { Name = prefix + pair.Key["transformer.".Length..] }).ToList();
        gpt2.Add(ones(1, 1, 24, 24).ToStored($"{prefix}h.0.attn.bias"));
        gpt2.Add(tensor(-1e4).ToStored($"{prefix}h.0.attn.masked_bias"));
        gpt2.Add(imported.Tensors["model.embed_tokens.weight"] with { Name = $"{prefix.Replace("transformer.", "")}lm_head.weight" });
        var ours = HuggingFaceNames.FromGpt2("test", gpt2, tiedHead: true);
        AssertSame(imported.Tensors, ours);
    }

    [Fact]
    public void A_head_that_is_said_to_be_tied_and_is_not_is_refused()
    {
        StoredTensor[] tensors = [ones(3, 2).ToStored("wte.weight"), zeros(3, 2).ToStored("lm_head.weight")];
        Assert.Contains(
            "tie_word_embeddings", Assert.Throws<InputException>(() => HuggingFaceNames.FromGpt2("file", tensors, tiedHead: true)).Message);
        Assert.Equal(2, HuggingFaceNames.FromGpt2("file", tensors, tiedHead: false).Count);
    }

    [Theory]
    [InlineData("h.0.attn.c_attn.weight", new long[] { 5, 2 })]
    [InlineData("h.0.attn.c_attn.bias", new long[] { 5 })]
    [InlineData("h.0.attn.rotor.weight", new long[] { 5 })]
    [InlineData("code", new long[] { 5 })]
    public void Tensors_that_no_GPT_2_has_are_refused_by_name(string name, long[] shape) =>
        Assert.Contains(
            name,
            Assert.Throws<InputException>(() => HuggingFaceNames.FromGpt2("file", [zeros(shape).ToStored(name)], tiedHead: true)).Message);

    [Theory]
    [InlineData("llama/tied")]
    [InlineData("llama/untied")]
    public void Llama_keeps_its_names_shapes_and_values(string golden)
    {
        using var file = SafetensorsFile.Open(Golden($"{golden}/model.safetensors"));
        using var imported = ModelImport.Import(Golden(golden));
        AssertSame(file.Names.ToDictionary(name => name, StoredTensor (name) => file.Tensor(name)), imported.Tensors);
        Assert.Equal(golden.EndsWith("/tied", StringComparison.Ordinal), imported.Model.TiedHead);
    }

    [Theory]
    [InlineData("vocab_size", 102, "model.embed_tokens.weight: file [101, 48], model [102, 48]")]
    [InlineData("num_hidden_layers", 2, "model.layers.2.input_layernorm.weight: file [48], not in the model")]
    [InlineData("num_hidden_layers", 4, "model.layers.3.input_layernorm.weight: not in the file, model [48]")]
    public void A_config_that_claims_another_size_is_refused(string key, int value, string expected)
    {
        var config = System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(Golden("llama/tied/config.json")))!;
        config[key] = value;
        File.Copy(Golden("llama/tied/model.safetensors"), folder["model.safetensors"]);
        File.WriteAllText(folder["config.json"], config.ToJsonString());
        Assert.Contains(expected, Assert.Throws<InputException>(() => ModelImport.Import(folder.Path)).Message);
    }

    [Theory]
    [InlineData("model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight: not in the file")]
    [InlineData("model.layers.0.self_attn.k_proj.weight", "model.layers.0.self_attn.k_proj.weight: not in the file")]
    public void A_matrix_that_shows_a_claimed_size_must_be_there(string missing, string expected)
    {
        using var file = SafetensorsFile.Open(Golden("llama/tied/model.safetensors"));
        WriteModel(
            "llama", File.ReadAllText(Golden("llama/tied/config.json")), file.Names.Where(name => name != missing).Select(file.Tensor));
        Assert.Contains(expected, Assert.Throws<InputException>(() => ModelImport.Import(folder["llama"])).Message);
    }

    [Theory]
    [InlineData("no-lm-head", "lm_head.weight: not in the file, model [64, 8]", "set tie_word_embeddings to true")]
    [InlineData("extra-qk-norm", "model.layers.0.self_attn.q_norm.weight: file [4], not in the model", "a model of this family?")]
    [InlineData("extra-tensors", "not in the model", "a model of this family?")]
    [InlineData("gpt2-without-biases", "model.layers.1.mlp.down_proj.bias: not in the file, model [32]", "bias: false in config.json")]
    public void Tensors_that_are_missing_or_left_over_are_listed_with_what_to_do(string fault, string listed, string advice)
    {
        var message = Assert.Throws<InputException>(() => ModelImport.Import(Golden($"faults/import-{fault}"))).Message;
        Assert.Contains(listed, message);
        Assert.Contains(advice, message);
    }

    [Fact]
    public void Integers_in_place_of_weights_are_refused()
    {
        using var file = SafetensorsFile.Open(Golden("llama/tied/model.safetensors"));
        WriteModel("llama", File.ReadAllText(Golden("llama/tied/config.json")), file.Names.Select(name => name.EndsWith("q_proj.weight")
            ? zeros(file.Shape(name).ToArray(), ScalarType.Int8).ToStored(name) : file.Tensor(name)));
        Assert.Contains(
            "q_proj.weight: numbers of type I8", Assert.Throws<InputException>(() => ModelImport.Import(folder["llama"])).Message);
    }

    [Theory]
    [InlineData("model.pt", new byte[] { 1, 2, 3 }, "runs the code in it")]
    [InlineData("pytorch_model.bin", new byte[] { 0x50, 0x4b, 3, 4 }, "runs the code in it")]
    [InlineData("old.bin", new byte[] { 0x80, 2, 0, 0 }, "runs the code in it")]
    [InlineData("model.onnx", new byte[] { 1, 2, 3 }, "unknown kind of file")]
    [InlineData("empty.bin", new byte[0], "llama2.c")]
    public void Other_files_are_refused_with_what_to_do(string name, byte[] content, string expected)
    {
        File.WriteAllBytes(folder[name], content);
        Assert.Contains(expected, Assert.Throws<InputException>(() => ModelImport.Import(folder[name])).Message);
    }

    [Fact]
    public void Folders_without_a_model_are_refused_with_what_was_expected()
    {
        Assert.Contains("expected a folder with", Assert.Throws<InputException>(() => ModelImport.Import(folder.Path)).Message);
        Assert.Contains("no such file or folder", Assert.Throws<InputException>(() => ModelImport.Import(folder["nothing"])).Message);
        File.WriteAllBytes(folder["pytorch_model.bin"], [0x50, 0x4b]);
        Assert.Contains("runs the code in it", Assert.Throws<InputException>(() => ModelImport.Import(folder.Path)).Message);
    }

    private static string Golden(string name) => Path.Combine(AppContext.BaseDirectory, "Goldens", name);

    private static void AssertSame(IReadOnlyDictionary<string, StoredTensor> expected, IReadOnlyDictionary<string, StoredTensor> actual)
    {
        Assert.Equal(expected.Keys.Order(), actual.Keys.Order());
        foreach (var (name, value) in expected) TensorAssert.Same(value.ToTensor(), actual[name], name);
    }

    private void WriteModel(string name, string config, IEnumerable<StoredTensor> tensors)
    {
        Directory.CreateDirectory(folder[name]);
        File.WriteAllText(folder[$"{name}/config.json"], config);
        SafetensorsWriter.Write(folder[$"{name}/model.safetensors"], tensors);
    }
}
