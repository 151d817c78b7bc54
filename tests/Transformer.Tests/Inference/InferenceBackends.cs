using Transformer.Inference;
using Transformer.Inference.Cpu;
using Transformer.Inference.Torch;
using Transformer.Layers;
using Transformer.Model;
using Transformer.Onnx;
using Transformer.Tests.Distributed;
using Transformer.Tests.Onnx;

namespace Transformer.Tests.Inference;

/// <summary>Everything that computes a model, and kinds of models for it.</summary>
internal static class InferenceBackends
{
    public const string Cpu = "cpu", Torch = "torch", Ranks = "torch on two ranks", Onnx = "onnx", FusedOnnx = "fused onnx";

    private static readonly string[] Kinds =
    [
        "rope", "alibi", "sliding 3", "dynamic", "gated_delta", "elu", "hybrid", "rope_dynamic_ntk", "hyper_connections", "value_residual",
        "mixture", "convolution", "latent", "latent, compressed queries", "forgetting", "forgetting, pro",
    ];

    // Heads that ONNX Runtime's own attention takes.
    private static readonly string[] WideKinds = ["wide", "wide, sliding 3", "wide hybrid"];

    public static IEnumerable<(string Backend, string Kind)> All =>
    [
        .. from backend in (string[])[Cpu, Torch, Ranks, Onnx]
           from kind in Kinds
           where backend != Ranks || kind != "convolution"    // ranks cannot share it
           where backend != Onnx || Tiny.HasGraph(kind)
           select (backend, kind),
        .. WideKinds.Select(kind => (FusedOnnx, kind)),
    ];

    /// <summary>Runs something with a model, computed by a backend, and libtorch's model of the same numbers. Ranks but the first
    /// follow.</summary>
    public static void With(string backend, string kind, Action<InferenceModel, TransformerModel> act)
    {
        using var reference = OnnxCases.ModelOf(kind);
        reference.eval();
        switch (backend)
        {
            case Cpu:
                using (var kernels = CpuInferenceModel.TryCreate(reference, threads: 2)!) act(kernels, reference);
                break;
            case Torch:
                using (var libtorch = SegmentedInferenceModel.Over(new TorchInferenceModel(reference))) act(libtorch, reference);
                break;
            case Ranks:
                WithRanks(kind, act, reference);
                break;
            default:
                using (var folder = new TemporaryFolder())
                {
                    var operators = backend == Onnx ? OnnxOperators.Standard : OnnxOperators.Fused;
                    OnnxFolder.Write(folder["onnx"], reference.Config, reference.Weights, operators: operators);
                    using var onnx = OnnxInferenceModel.Open(folder["onnx"], threads: 1);
                    act(onnx, reference);
                }
                break;
        }
    }

    /// <summary>Whether a model's states cannot drop single tokens on a backend.</summary>
    public static bool IsRecurrent(string kind) => kind is "gated_delta" or "elu" or "hybrid" or "convolution" or "wide hybrid";

    private static void WithRanks(string kind, Action<InferenceModel, TransformerModel> act, TransformerModel reference)
    {
        TransformerModel[] models = [OnnxCases.ModelOf(kind), OnnxCases.ModelOf(kind)];
        Threads.Run(2, rank =>
        {
            using var whole = models[rank.Rank];
            using var share = TensorParallelModel.ShareOf(whole, new TensorParallelGroup(rank));
            using var inference = SegmentedInferenceModel.Over(new TorchInferenceModel(share));
            if (rank.Rank == 0) act(inference, reference);
            else ((TorchInferenceModel)inference.Core).Follow();
        });
    }
}
