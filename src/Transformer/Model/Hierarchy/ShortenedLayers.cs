using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Attention;
using static TorchSharp.torch;

namespace Transformer.Model.Hierarchy;

// B batch · T tokens · S groups · C width

/// <summary>
/// Layers that read groups of tokens in place of tokens, as one node of a stack: <c>forward(x [B, T, C], context) -> [B, T, C]</c>.
/// </summary>
public abstract class ShortenedLayers : nn.Module<Tensor, ForwardContext, Tensor>
{
    private readonly int most;
    private readonly Stack layers;    // a field: a property would change the names of its parameters

    /// <param name="name">The name of the module's kind.</param>
    /// <param name="model">The model that it is part of.</param>
    /// <param name="spec">Its layers.</param>
    private protected ShortenedLayers(string name, ModelConfig model, HourglassSpec spec) : base(name)
    {
        (Config, layers, most) = (spec.Config, Stack.Of(model, spec.Layers), model.MostPlaces);
    }

    // Among the other parts, in the order of the stream.
    private protected void RegisterLayers() => register_module(nameof(layers), layers);

    /// <summary>How tokens are grouped.</summary>
    protected HourglassConfig Config { get; }

    /// <summary>The layers that read the groups.</summary>
    public Stack Layers => layers;

    /// <summary>An hourglass of a model.</summary>
    /// <exception cref="InputException">No layer is known for a kind of the configuration.</exception>
    public static ShortenedLayers FromConfig(ModelConfig model, HourglassSpec spec) =>
        spec.Config.Boundaries is null ? new Hourglass(model, spec) : new DynamicPooling(model, spec);

    /// <summary>An empty state for generation.</summary>
    /// <param name="rows">B, the number of sequences.</param>
    /// <param name="length">The greatest number of tokens that a sequence may reach.</param>
    /// <param name="device">The state's device.</param>
    public abstract HourglassState NewState(int rows, int length, Device device);

    private protected HourglassState NewState(int rows, int length, int open, long width, Device device)
    {
        var capacity = Config.MostGroups(length);
        return new(
            zeros(rows, open, width, device: device), zeros(rows, width, device: device), zeros(rows, 2),
            Layers.Stateful.ToDictionary(module => module, module => Stack.NewState(module, rows, capacity, device)),
            Config.MostGroups, capacity);
    }

    /// <summary>What the layers make of groups.</summary>
    /// <param name="groups">[B, S, C]</param>
    /// <param name="context">That of the tokens.</param>
    /// <param name="state">The state; null for a pass without one.</param>
    /// <param name="counts">For each row how many of the S are groups, from the left; all where null.</param>
    /// <param name="ofTokens">What tokens receive, [..., S] to [..., T], which tells their spans too.</param>
    /// <returns>[B, S, C]</returns>
    private protected Tensor Run(
        Tensor groups, ForwardContext context, HourglassState? state, IReadOnlyList<int>? counts, Func<Tensor, Tensor> ofTokens)
    {
        var own = context.OfGroups(
            (int)groups.shape[0], (int)groups.shape[1], state?.Groups, counts, state?.Layers, most, groups.device);
        var rows = Layers.call(groups, own);
        foreach (var (window, spans) in own.LearnedSpans ?? new Dictionary<LearnedSpan, Tensor>())
        {
            using (spans)
                context.LearnedSpans![window] = (spans.shape[^1] == 1 ? spans.clone() : ofTokens(spans)).DetachFromDisposeScope();
        }
        return rows;
    }
}
