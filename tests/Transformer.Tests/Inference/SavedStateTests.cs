using System.Diagnostics;
using Transformer.Checkpoints;
using Transformer.Configuration;
using Transformer.Formats;
using Transformer.Inference;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;
using Transformer.Model;
using Transformer.Tests.Onnx;

namespace Transformer.Tests.Inference;

/// <summary>Files of saved states: what goes on in another process, and what is refused.</summary>
public sealed class SavedStateTests : IDisposable
{
    private const string FolderVariable = "TRANSFORMER_TEST_STATE";

    private readonly TemporaryFolder folder = new();
    private readonly TransformerModel model = OnnxCases.ModelOf("hybrid");
    private readonly InferenceModel kernels;

    public SavedStateTests() => kernels = CpuInferenceModel.TryCreate(model, threads: 1)!;

    public void Dispose()
    {
        kernels.Dispose();
        model.Dispose();
        folder.Dispose();
    }

    private string Saved => folder["state.safetensors"];

    [Fact]
    public void Another_process_goes_on_to_the_last_bit()
    {
        CheckpointFolder.Save(folder["checkpoint"], model.Config, model.Weights.ToStored());
        using var state = Save();
        var method = $"{typeof(SavedStateTests).FullName}.{nameof(Goes_on_from_the_file_of_another_process)}";
        string[] arguments = [typeof(SavedStateTests).Assembly.Location, "-method", method, "-explicit", "only"];
        var start = new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true };
        start.Environment[FolderVariable] = folder.Path;
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, output);
        Assert.Equal(GoOn(kernels, state), File.ReadAllText(folder["logits"]));
    }

    [Fact(Explicit = true)]
    public void Goes_on_from_the_file_of_another_process()
    {
        var shared = Environment.GetEnvironmentVariable(FolderVariable)
            ?? throw new InvalidOperationException($"{FolderVariable} is not set");
        var checkpoint = CheckpointFolder.Open(Path.Combine(shared, "checkpoint"));
        using var again = CpuInferenceModel.TryCreate(checkpoint, WeightFormat.AsIs, threads: 1)!;
        using var state = again.LoadState(Path.Combine(shared, "state.safetensors"), "tokens");
        File.WriteAllText(Path.Combine(shared, "logits"), GoOn(again, state));
    }

    [Fact]
    public void A_state_of_another_backend_model_packing_or_tokenizer_is_refused_by_name()
    {
        Save().Dispose();
        using var libtorch = new TorchInferenceModel(model);
        using var packed = CpuInferenceModel.TryCreate(model, WeightFormat.Q8)!;
        using var otherModel = OnnxCases.ModelOf("rope");
        using var other = CpuInferenceModel.TryCreate(otherModel)!;
        Assert.Contains("another backend (found cpu, expected torch)", Refusal(() => libtorch.LoadState(Saved)));
        Assert.Contains("packed otherwise", Refusal(() => packed.LoadState(Saved)));
        Assert.Contains("another architecture", Refusal(() => other.LoadState(Saved)));
        Assert.Contains("another tokenizer", Refusal(() => kernels.LoadState(Saved, "others")));
        using (TorchSharp.torch.no_grad()) model.Weight("model.norm.weight").add_(1);
        using var trained = CpuInferenceModel.TryCreate(model)!;
        Assert.Contains("other weights", Refusal(() => trained.LoadState(Saved)));
    }

    [Fact]
    public void A_damaged_file_is_refused_wherever_the_damage_is()
    {
        Save().Dispose();
        var bytes = File.ReadAllBytes(Saved);
        for (var at = 0; at < bytes.Length; at += 97)
        {
            File.WriteAllBytes(Saved, [.. bytes[..at], (byte)(bytes[at] ^ 0x15), .. bytes[(at + 1)..]]);
            Assert.Contains(Saved, Refusal(() => kernels.LoadState(Saved, "tokens").Dispose()));
        }
        File.WriteAllBytes(Saved, bytes[..^8]);
        Assert.Contains(Saved, Refusal(() => kernels.LoadState(Saved)));
        Assert.Contains("cannot be read", Refusal(() => kernels.LoadState(folder["none"])));
        CheckpointFolder.Save(folder["checkpoint"], model.Config, model.Weights.ToStored());
        Assert.Contains("is no saved state", Refusal(() => kernels.LoadState(folder["checkpoint/model.safetensors"])));
    }

    [Fact]
    public void A_file_does_not_tell_what_a_row_held_before()
    {
        Save().Dispose();
        var expected = File.ReadAllBytes(Saved);
        using var state = kernels.NewState(rows: 2);
        kernels.Read(state, [0, 1], [8, 8], [7, 6, 5, 4, 3, 2, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7]);
        state.Clear(0);
        state.Clear(1);
        kernels.Read(state, [0, 1], [5, 3], [1, 5, 2, 7, 3, 4, 4, 1]);
        state.Save(Saved, "tokens");
        Assert.Equal(expected, File.ReadAllBytes(Saved));
    }

    private SequenceState Save()
    {
        var state = kernels.NewState(rows: 2);
        kernels.Read(state, [0, 1], [5, 3], [1, 5, 2, 7, 3, 4, 4, 1]);
        state.Save(Saved, "tokens");
        return state;
    }

    private static string GoOn(InferenceModel model, SequenceState state)
    {
        model.Read(state, [0, 1], [2, 1], [1, 2, 3]);
        return string.Join(' ', OnnxCases.Logits(model, 2).Select(BitConverter.SingleToUInt32Bits));
    }

    private static string Refusal(Action act) => Assert.Throws<InputException>(act).Message;
}
