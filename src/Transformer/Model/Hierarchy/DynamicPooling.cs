using TorchSharp.Modules;
using Transformer.Configuration;
using Transformer.Layers;
using Transformer.Layers.Norms;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Model.Hierarchy;

// B batch · T tokens · S groups, the null group included · C width

/// <summary>
/// Groups that end where the text has a boundary (dynamic pooling, Nawrot et al. 2023, arXiv:2211.09761): a group is the mean of its
/// tokens, a learned null group stands before all of them, and token t receives the vector of the last group that is complete at t, t
/// included.
/// </summary>
public sealed class DynamicPooling : ShortenedLayers
{
    private readonly BoundaryConfig config;
    private readonly BoundaryPredictor? boundaries;
    private readonly Parameter null_group;
    private readonly nn.Module<Tensor, Tensor> norm;
    private readonly long[] ends = [];
    private readonly int width;

    /// <param name="model">The model that it is part of.</param>
    /// <param name="spec">Its boundaries and its layers.</param>
    public DynamicPooling(ModelConfig model, HourglassSpec spec) : base(nameof(DynamicPooling), model, spec)
    {
        (config, width) = (spec.Config.Boundaries!, model.Width);
        boundaries = config switch
        {
            PredictedBoundariesConfig predicted => new BoundaryPredictor(predicted, width),
            WhiteSpaceBoundariesConfig => null,
            _ => throw Kind.Unknown("model.layers.boundaries", config, "layer"),
        };
        if (config is WhiteSpaceBoundariesConfig white) ends = [.. white.KnownTokens.Select(id => (long)id)];
        null_group = new Parameter(randn(width));
        norm = Norm.FromConfig(model.Norm, width);
        register_parameter(nameof(null_group), null_group);
        if (boundaries is not null) register_module(nameof(boundaries), boundaries);
        register_module(nameof(norm), norm);
        RegisterLayers();
    }

    // The sum of the open group.
    /// <inheritdoc/>
    public override HourglassState NewState(int rows, int length, Device device) => NewState(rows, length, open: 1, width, device);

    /// <param name="x">[B, T, C]</param>
    /// <param name="context">What the layers of this pass share, and the tokens.</param>
    /// <returns>[B, T, C]</returns>
    public override Tensor forward(Tensor x, ForwardContext context)
    {
        using var scope = NewDisposeScope();
        var found = Boundaries(x, context);                                                                // [B, T]
        var y = context.StateOf(this) is HourglassState state ? Continue(x, found, context, state) : Whole(x, found, context);
        return y.MoveToOuterDisposeScope();
    }

    /// <summary>The pass over whole sequences whose boundaries are known.</summary>
    /// <param name="x">[B, T, C]</param>
    /// <param name="found">1 at a boundary, else 0, perhaps with a graph: [B, T].</param>
    /// <param name="context">What the layers of this pass share.</param>
    /// <returns>[B, T, C]</returns>
    internal Tensor Whole(Tensor x, Tensor found, ForwardContext context)
    {
        var received = found.detach().cumsum(1);                                                           // [B, T], which of the S
        int[] counts = [.. received.select(1, -1).ToHost().Select(ended => 1 + (int)ended)];               // waits for the device
        var (sums, sizes) = TokenGroups.Sum(x, found, counts.Max());
        var means = TokenGroups.Mean(sums, sizes).narrow(1, 0, counts.Max() - 1);
        var groups = cat([NullGroup(x.shape[0]), means], 1);                                               // [B, S, C]
        var rows = Run(norm.call(groups), context, state: null, counts, spans =>
            spans.expand(x.shape[0], -1, -1).gather(-1, received.to(ScalarType.Int64).unsqueeze(1).expand(-1, spans.shape[1], -1)));
        return x + TokenGroups.Receive(rows, received);
    }

    // The tokens of each row go on from those before, and the first of a text come after the null group.
    private Tensor Continue(Tensor x, Tensor found, ForwardContext context, HourglassState state)
    {
        var (B, T) = ((int)x.shape[0], (int)x.shape[1]);
        int[] news = [.. Enumerable.Range(0, B).Select(row => (int)context.NewTokensOf(row, T))];
        var received = found.cumsum(1);                                                                    // [B, T]
        int[] ended = [.. received.select(1, -1).ToHost().Select(count => (int)count)];
        int[] nulls = [.. state.Groups.Select((groups, row) => groups == 0 && news[row] > 0 ? 1 : 0)];
        int[] counts = [.. ended.Zip(nulls, (groups, first) => groups + first)];
        var (sums, sizes) = TokenGroups.Sum(x, found, ended.Max() + 1, IsText(x, context));
        sums.select(1, 0).add_(state.Open.select(1, 0));
        sizes.select(1, 0).add_(state.Counts.select(1, 0).ToDeviceAsync(x.device));
        var all = state.Received.unsqueeze(1);                                                             // [B, 1, C], then [B, 1 + S, C]
        if (counts.Max() is > 0 and var most)
        {
            var groups = cat([NullGroup(B), TokenGroups.Mean(sums, sizes)], 1);
            var chosen = arange(most, device: x.device) + 1 - Column(nulls, x.device);                     // [B, S]
            groups = TokenGroups.Receive(norm.call(groups), chosen.clamp_max(groups.shape[1] - 1));
            all = cat([all, Run(groups, context, state, counts, spans => spans)], 1);
        }
        var y = x + TokenGroups.Receive(all, received + Column(nulls, x.device));
        var open = sizes.gather(1, Column(ended, x.device).to(ScalarType.Int64)).squeeze(1).ToHost();
        for (var row = 0; row < B; row++)
        {
            state.Open[row][0].copy_(sums[row][ended[row]]);
            state.Received[row].copy_(all[row][counts[row]]);
            state.Count(row, (int)open[row], counts[row]);
        }
        return y;
    }

    private static Tensor Column(int[] numbers, Device device) => tensor(numbers).ToDeviceAsync(device).unsqueeze(1);

    // Where groups end; in training drawn, else where the network finds it more probable than not.
    private Tensor Boundaries(Tensor x, ForwardContext context)
    {
        var isTraining = training && context.AuxiliaryLosses is not null;
        var logits = boundaries?.call(x);                                                                  // [B, T]
        var found = logits is null ? WhiteSpace(x, context.Ids)
            : config is LearnedBoundariesConfig learned && isTraining
                ? BoundaryPredictor.Draw(logits, rand_like(logits), learned.Temperature)
                : (logits > 0).to(x.dtype);
        var isText = context.NewTokens.Count == 0 ? null : IsText(x, context);
        if (isText is not null) found = found * isText;
        if (config is LearnedBoundariesConfig && isTraining)
            context.AuxiliaryLosses!.Add(BoundaryPredictor.Prior(found, config.Rate, isText?.sum(1)));
        context.Boundaries?.Add(new(config, found.detach().clone().DetachFromDisposeScope(), logits?.alias().DetachFromDisposeScope()));
        return found;
    }

    // 1 at a token, 0 at padding: [B, T].
    private static Tensor IsText(Tensor x, ForwardContext context)
    {
        var counts = Enumerable.Range(0, (int)x.shape[0]).Select(row => context.NewTokensOf(row, x.shape[1])).ToArray();
        return (tensor(counts).ToDeviceAsync(x.device).unsqueeze(1) > arange(x.shape[1], device: x.device)).to(x.dtype);
    }

    // What is no token ends no group.
    private Tensor WhiteSpace(Tensor x, Tensor? ids) => ids is null
        ? zeros(x.shape[0], x.shape[1], device: x.device)
        : isin(ids, tensor(ends).ToDeviceAsync(x.device)).to(x.dtype);

    private Tensor NullGroup(long rows) => null_group.view(1, 1, width).expand(rows, 1, width);              // [B, 1, C]
}
