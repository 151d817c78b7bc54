using TorchSharp.Modules;
using Transformer.Configuration;
using Transformer.Model;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// The trainable parameters of a model as views into one buffer, and their gradients into a second, both in the order of the blocks. Clipping,
/// optimizer steps, averaging and, between ranks, reduction are then a few operations on ranges instead of many on small tensors.
/// </summary>
public sealed class ParameterSpace : IDisposable
{
    private const int Alignment = 16;    // floats: every view begins on a 64-byte boundary

    /// <summary>Moves a model's trainable parameters into the space; values, names and shapes stay. Frozen ones are left where they are.</summary>
    /// <param name="model">The model; its parameters stay usable as before.</param>
    /// <param name="rules">Learning rates and freezing by name.</param>
    public ParameterSpace(TransformerModel model, IReadOnlyList<ParameterRule>? rules = null)
    {
        var named = new List<(string Name, Parameter Value, ParameterRule? Rule)>();
        foreach (var (name, value) in model.named_parameters()) named.Add((name, value, rules?.FirstOrDefault(rule => Matches(rule.Pattern, name))));
        foreach (var rule in rules ?? [])
        {
            if (named.Any(parameter => Matches(rule.Pattern, parameter.Name))) continue;
            var first = string.Join(", ", named.Take(5).Select(parameter => parameter.Name));
            throw new InputException($"training.parameters: no parameter is called {rule.Pattern}. The first ones are {first}.");
        }
        foreach (var (_, value, _) in named.Where(parameter => parameter.Rule is { Frozen: true })) value.requires_grad_(false);

        // In a block matrices come first, so that those that decay lie together. The order of blocks is that of the names.
        var trained = named.Where(parameter => parameter.Rule is not { Frozen: true })
            .GroupBy(parameter => BlockOf(parameter.Name)).SelectMany(block => block.OrderBy(parameter => parameter.Value.dim() >= 2 ? 0 : 1)).ToList();
        if (trained.Count == 0) throw new InputException("training.parameters: every parameter is frozen, so there is nothing to train.");

        var size = trained.Sum(parameter => Aligned(parameter.Value.numel()));
        Values = zeros(size, device: model.Device).DetachFromDisposeScope();
        Gradients = zeros(size, device: model.Device).DetachFromDisposeScope();

        using var _ = no_grad();
        using var scope = NewDisposeScope();
        var parameters = new List<ParameterView>();
        long offset = 0;
        foreach (var (name, value, rule) in trained)
        {
            var length = value.numel();
            var gradient = Gradients.narrow(0, offset, length).view(value.shape).DetachFromDisposeScope();
            var place = Values.narrow(0, offset, length).view(value.shape);
            place.copy_(value);
            value.set_(place);
            value.grad = gradient;
            parameters.Add(new ParameterView(
                name, value, gradient, offset, Aligned(length), value.dim() >= 2, rule?.LearningRateScale ?? 1, WidthScale(model.Config, name, value)));
            offset += Aligned(length);
        }
        Parameters = parameters;
    }

    /// <summary>All trained parameters, one after the other, with zeros between them up to the next boundary: [N].</summary>
    public Tensor Values { get; }

    /// <summary>Their gradients, in the same places: [N]. The backward pass adds to them.</summary>
    public Tensor Gradients { get; }

    /// <summary>The parameters in the order of the space.</summary>
    public IReadOnlyList<ParameterView> Parameters { get; }

    /// <summary>The length of the gradient of all parameters.</summary>
    public double GradientNorm()
    {
        using var norm = Gradients.norm();
        return norm.item<float>();
    }

    /// <summary>
    /// Makes all gradients zero for the next step, and makes sure that the backward pass still writes into this space: a gradient that was replaced
    /// elsewhere (zero_grad does that) would never be seen by the optimizer.
    /// </summary>
    public void ZeroGradients()
    {
        using var scope = NewDisposeScope();
        foreach (var parameter in Parameters)
            if (parameter.Value.grad is not { } gradient || Aten.DataPointer(gradient) != Aten.DataPointer(parameter.Gradient))
                throw new InvalidOperationException($"the gradient of {parameter.Name} left the parameter space; something replaced it");
        Gradients.zero_();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var parameter in Parameters) parameter.Gradient.Dispose();
        Values.Dispose();
        Gradients.Dispose();
    }

    /// <summary>Whether a name fits a pattern in which <c>*</c> stands for any run of characters.</summary>
    internal static bool Matches(string pattern, string name) => System.IO.Enumeration.FileSystemName.MatchesSimpleExpression(pattern, name, ignoreCase: false);

    private static long Aligned(long length) => (length + Alignment - 1) / Alignment * Alignment;

    private static string BlockOf(string name) => name.StartsWith("model.layers.", StringComparison.Ordinal) ? string.Join('.', name.Split('.').Take(3)) : name;

    // Adam's steps do not shrink with the width, so under muP the rate of hidden matrices does. Muon's steps do so by themselves.
    private static double WidthScale(ModelConfig config, string name, Tensor value) =>
        config.Initialization is MupInitializationConfig mup && WeightInitialization.IsHidden(name, value) ? (double)mup.BaseWidth / config.Width : 1;
}
