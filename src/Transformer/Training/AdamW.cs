using Transformer.Configuration;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Training;

/// <summary>
/// Adam with decoupled weight decay (Kingma and Ba 2015; Loshchilov and Hutter 2019). Parameters that lie together and are treated alike make one
/// range, and libtorch's fused kernel passes over each range once.
/// </summary>
public sealed class AdamW : Optimizer
{
    private const long Piece = 1 << 16;    // numbers whose parameters, gradients and moments fit a core's cache

    private readonly AdamWConfig config;
    private readonly ParameterSpace space;
    private readonly List<(long Offset, long Length)> places = [];    // in the space, in the order of the moments
    private readonly Tensor means, squares, steps;
    private readonly List<(bool Decays, double RateScale, List<Tensor[]> Ranges, List<long> Offsets)> groups = [];

    /// <param name="config">Rates and decays.</param>
    /// <param name="parameters">Which parameters of the space this rule changes.</param>
    /// <param name="space">Where they lie.</param>
    public AdamW(AdamWConfig config, IReadOnlyList<ParameterView> parameters, ParameterSpace space)
    {
        (this.config, this.space) = (config, space);
        using var scope = NewDisposeScope();
        var size = parameters.SelectMany(parameter => space.Owned(parameter.Offset, parameter.Length)).Sum(owned => owned.Length);
        var type = config.StatePrecision == StatePrecision.Bf16 ? ScalarType.BFloat16 : ScalarType.Float32;
        means = zeros(size, type, space.Values.device).DetachFromDisposeScope();
        squares = zeros(size, type, space.Values.device).DetachFromDisposeScope();
        steps = zeros(1).DetachFromDisposeScope();    // here, so that counting asks no device
        long used = 0;    // the moments of the ranges lie one after the other
        foreach (var alike in parameters.GroupBy(parameter => (parameter.Decays, RateScale: parameter.LearningRateScale * parameter.WidthScale)))
        {
            var (ranges, offsets) = (new List<Tensor[]>(), new List<long>());
            foreach (var (offset, length) in Join(alike).SelectMany(range => space.Owned(range.Offset, range.Length)))
            {
                ranges.Add(
                [
                    space.Cut(space.Values, offset, length).DetachFromDisposeScope(), space.Cut(space.Gradients, offset, length).DetachFromDisposeScope(),
                    Cut(means, used, length), Cut(squares, used, length), zeros(1, device: space.Values.device).DetachFromDisposeScope(),
                ]);
                offsets.Add(offset);
                places.Add((offset, length));
                used += length;
            }
            groups.Add((alike.Key.Decays, alike.Key.RateScale, ranges, offsets));
        }
    }

    /// <inheritdoc/>
    public override IEnumerable<(string Name, Tensor Value)> State =>
        [.. space.Pieces("adamw.means", means, places), .. space.Pieces("adamw.squares", squares, places), ("adamw.steps", steps)];

    /// <inheritdoc/>
    public override void Step(double schedule, Tensor? gradientScale = null)
    {
        using var _ = no_grad();
        steps.add_(1);
        foreach (var (decays, scale, ranges, offsets) in groups)
        {
            foreach (var range in ranges) range[4].fill_(Count);
            if (config.StatePrecision == StatePrecision.Fp32) Update(ranges, decays, scale * schedule, gradientScale);
            else foreach (var (range, offset) in ranges.Zip(offsets)) UpdateRounded(range, offset, decays, scale * schedule, gradientScale);
        }
    }

    private float Count => steps.data<float>()[0];

    private void Update(IReadOnlyList<Tensor[]> ranges, bool decays, double scale, Tensor? gradientScale) => Aten.FusedAdamW(
        Column(ranges, 0), Column(ranges, 1), Column(ranges, 2), Column(ranges, 3), Column(ranges, 4),
        config.LearningRate * scale, config.Beta1, config.Beta2, decays ? config.WeightDecay : 0, config.Epsilon, gradientScale);

    // A piece at a time the moments are widened, updated and rounded again. Where a number lies in the space and the step decide how it is rounded, so that
    // neither threads nor pieces nor an interruption change it.
    private void UpdateRounded(Tensor[] range, long offset, bool decays, double scale, Tensor? gradientScale)
    {
        var step = (long)Count - 1;
        for (long first = 0; first < range[0].numel(); first += Piece)
        {
            using var scope = NewDisposeScope();
            Tensor[] piece = [.. range[..4].Select(buffer => buffer.narrow(0, first, Math.Min(Piece, buffer.numel() - first)))];
            var (mean, square) = (piece[2].to(ScalarType.Float32), piece[3].to(ScalarType.Float32));
            Update([[piece[0], piece[1], mean, square, range[4]]], decays, scale, gradientScale);
            StochasticRounding.Store(mean, piece[2], seed: 2 * step, offset + first);
            StochasticRounding.Store(square, piece[3], seed: 2 * step + 1, offset + first);
        }
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        foreach (var tensor in groups.SelectMany(group => group.Ranges).SelectMany(range => range).Concat([means, squares, steps])) tensor.Dispose();
    }

    private static Tensor[] Column(IReadOnlyList<Tensor[]> ranges, int column) => [.. ranges.Select(range => range[column])];

    private static Tensor Cut(Tensor buffer, long offset, long length) => buffer.narrow(0, offset, length).DetachFromDisposeScope();

    // Neighbours become one range.
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
