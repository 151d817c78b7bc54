using Transformer.Distributed;
using Transformer.Native;
using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// Adam with decoupled weight decay (Kingma and Ba 2015; Loshchilov and Hutter 2019). Adjacent parameters with the same rates form one
/// range, and libtorch's fused kernel makes one pass over each range.
/// </summary>
public sealed class AdamW : Optimizer
{
    private const long Piece = 1 << 16;    // numbers whose parameters, gradients and moments fit a core's cache

    private readonly AdamWConfig config;
    private readonly ParameterSpace space;
    private readonly Tensor means, squares, steps;
    private readonly List<Group> groups = [];

    /// <param name="config">Rates and decays.</param>
    /// <param name="parameters">Which parameters of the space this rule changes.</param>
    /// <param name="space">The space of the parameters.</param>
    public AdamW(AdamWConfig config, IReadOnlyList<ParameterView> parameters, ParameterSpace space)
    {
        (this.config, this.space) = (config, space);
        using var scope = NewDisposeScope();
        var size = parameters.SelectMany(parameter => space.Owned(parameter.Offset, parameter.Length)).Sum(owned => owned.Length);
        var type = config.StatePrecision == StatePrecision.Bf16 ? ScalarType.BFloat16 : ScalarType.Float32;
        means = zeros(size, type, space.Values.device).DetachFromDisposeScope();
        squares = zeros(size, type, space.Values.device).DetachFromDisposeScope();
        steps = zeros(1).DetachFromDisposeScope();    // on the CPU, so that counting does not wait for a device
        long used = 0;    // the moments of the ranges are contiguous
        foreach (var alike in parameters.GroupBy(parameter => (
            Decay: parameter.Decays ? config.WeightDecay / parameter.WidthScale : 0,    // times the rate, so that the width cancels
            RateScale: parameter.LearningRateScale * parameter.WidthScale)))
        {
            var ranges = new List<ParameterRange>();
            foreach (var (offset, length) in Join(alike).SelectMany(range => space.Owned(range.Offset, range.Length)))
            {
                ranges.Add(new ParameterRange(
                    offset,
                    space.Cut(space.Values, offset, length).DetachFromDisposeScope(),
                    space.Cut(space.Gradients, offset, length).DetachFromDisposeScope(),
                    means.narrow(0, used, length).DetachFromDisposeScope(),
                    squares.narrow(0, used, length).DetachFromDisposeScope(),
                    zeros(1, device: space.Values.device).DetachFromDisposeScope()));
                used += length;
            }
            groups.Add(new Group(alike.Key.Decay, alike.Key.RateScale, ranges));
        }
    }

    // Adjacent ranges with the same rates: the parameters and, in the same order, the kernel's other
    // arguments. Its count of steps is a tensor.
    private sealed record ParameterRange(long Offset, Tensor Values, Tensor Gradients, Tensor Means, Tensor Squares, Tensor Step)
    {
        public long Length => Values.numel();

        public IEnumerable<Tensor> Tensors => [Values, Gradients, Means, Squares, Step];
    }

    private sealed record Group(double Decay, double RateScale, IReadOnlyList<ParameterRange> Ranges);

    /// <inheritdoc/>
    public override IEnumerable<(string Name, Tensor Value)> State
    {
        get
        {
            var ranges = groups.SelectMany(group => group.Ranges).Select(range => (range.Offset, range.Length)).ToList();
            return
            [
                .. space.Pieces("adamw.means", means, ranges),
                .. space.Pieces("adamw.squares", squares, ranges),
                ("adamw.steps", steps),
            ];
        }
    }

    /// <inheritdoc/>
    public override void Step(double schedule, Tensor? gradientScale = null)
    {
        using var _ = no_grad();
        steps.add_(1);
        foreach (var (decay, scale, ranges) in groups)
        {
            foreach (var range in ranges) range.Step.fill_(Count);
            if (config.StatePrecision == StatePrecision.Fp32) Update(ranges, decay, scale * schedule, gradientScale);
            else foreach (var range in ranges) UpdateRounded(range, decay, scale * schedule, gradientScale);
        }
    }

    private float Count => steps.data<float>()[0];

    private void Update(IReadOnlyList<ParameterRange> ranges, double decay, double scale, Tensor? gradientScale) => Aten.FusedAdamW(
        [.. ranges.Select(range => range.Values)],
        [.. ranges.Select(range => range.Gradients)],
        [.. ranges.Select(range => range.Means)],
        [.. ranges.Select(range => range.Squares)],
        [.. ranges.Select(range => range.Step)],
        config.LearningRate * scale, config.Beta1, config.Beta2, decay, config.Epsilon, gradientScale);

    // The moments are widened, updated and rounded piece by piece. The rounding of a number depends only on its index in the space and on
    // the step, so that threads, pieces and interruptions do not change it.
    private void UpdateRounded(ParameterRange range, double decay, double scale, Tensor? gradientScale)
    {
        var step = (long)Count - 1;
        for (long first = 0; first < range.Length; first += Piece)
        {
            using var scope = NewDisposeScope();
            var length = Math.Min(Piece, range.Length - first);
            var (means, squares) = (range.Means.narrow(0, first, length), range.Squares.narrow(0, first, length));
            var piece = new ParameterRange(
                range.Offset + first, range.Values.narrow(0, first, length), range.Gradients.narrow(0, first, length),
                means.to(ScalarType.Float32), squares.to(ScalarType.Float32), range.Step);
            Update([piece], decay, scale, gradientScale);
            StochasticRounding.Store(piece.Means, means, seed: 2 * step, piece.Offset);
            StochasticRounding.Store(piece.Squares, squares, seed: 2 * step + 1, piece.Offset);
        }
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        foreach (var tensor in groups.SelectMany(group => group.Ranges).SelectMany(range => range.Tensors)) tensor.Dispose();
        foreach (var tensor in (Tensor[])[means, squares, steps]) tensor.Dispose();
    }

    // Merges adjacent ranges.
    private static IEnumerable<(long Offset, long Length)> Join(IEnumerable<ParameterView> parameters)
    {
        (long Offset, long Length)? open = null;
        foreach (var parameter in parameters.OrderBy(parameter => parameter.Offset))
        {
            if (open is { } range && range.Offset + range.Length == parameter.Offset)
            {
                open = (range.Offset, range.Length + parameter.Length);
                continue;
            }
            if (open is not null) yield return open.Value;
            open = (parameter.Offset, parameter.Length);
        }
        if (open is not null) yield return open.Value;
    }
}
