using Transformer.Data;
using Transformer.Model;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Evaluation;

// T tokens of a segment · N tokens of the text

/// <summary>
/// The losses of a text that is read as one stream, token by token: in segments with what a model remembers, or in windows of its context
/// where it remembers nothing. Nothing that is kept grows with the text but these numbers.
/// </summary>
/// <param name="Losses">-ln p of each token but the first, in nats: [N - 1].</param>
/// <param name="Segment">T.</param>
public sealed record StreamEvaluation(IReadOnlyList<float> Losses, int Segment)
{
    private const double TwoSided95 = 1.96;

    /// <summary>Reads a text.</summary>
    /// <param name="model">The model, in evaluation.</param>
    /// <param name="tokens">The text.</param>
    /// <param name="length">N, where it is not read to its end.</param>
    /// <param name="withoutMemory">Whether what is remembered is set to zero before each segment: a control.</param>
    /// <param name="cancellation">Ends the measurement between two segments.</param>
    public static StreamEvaluation Measure(
        TransformerModel model, TokenSequence tokens, long? length = null, bool withoutMemory = false,
        CancellationToken cancellation = default)
    {
        using var _ = inference_mode();
        var segment = (int)Math.Min(model.Config.ContextLength, tokens.Length - 1);
        var losses = new List<float>();
        using var reader = new SegmentReader(model, withoutMemory);
        for (long offset = 0; offset < Math.Min(length ?? tokens.Length, tokens.Length) - 1; offset += segment)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var batch = Batch.Read(tokens, [offset], segment) with { Starts = [offset == 0] };
            var (inputs, targets) = BatchTensors.On(batch, model.Device);
            var each = nn.functional.cross_entropy(
                model.Logits(reader.Hidden(inputs, batch)).flatten(0, 1), targets.flatten(), ignore_index: Batch.IgnoredTarget,
                reduction: nn.Reduction.None);
            var count = (int)Math.Min(segment, Math.Min(length ?? tokens.Length, tokens.Length) - 1 - offset);
            losses.AddRange(each.ToHost().Take(count).Select(loss => (float)loss));
        }
        return new(losses, segment);
    }

    /// <summary>The mean loss, in nats per token.</summary>
    public double Loss => Losses.Average();

    /// <summary>The mean loss at each place of a segment, over all segments but the first, which nothing stands before: [T].</summary>
    public IReadOnlyList<double> ByPlace() =>
        [.. Enumerable.Range(0, Segment).Select(place => Places(place).DefaultIfEmpty(float.NaN).Average())];

    /// <summary>The mean loss of each of several equal parts of the stream, in order.</summary>
    public IReadOnlyList<double> ByPart(int parts) =>
        [.. Losses.Chunk((Losses.Count + parts - 1) / parts).Select(part => (double)part.Average())];

    /// <summary>The mean loss over the first tokens of each segment but the first, and half its 95 % interval over the segments.</summary>
    /// <param name="tokens">How many.</param>
    public (double Loss, double Interval) AtBeginnings(int tokens)
    {
        double[] each = [.. Losses.Chunk(Segment).Skip(1).Where(segment => segment.Length >= tokens)
            .Select(segment => (double)segment.Take(tokens).Average())];
        var mean = each.Average();
        var variance = each.Sum(loss => (loss - mean) * (loss - mean)) / (each.Length - 1);
        return (mean, TwoSided95 * Math.Sqrt(variance / each.Length));
    }

    private IEnumerable<float> Places(int place)
    {
        for (var at = Segment + place; at < Losses.Count; at += Segment) yield return Losses[at];
    }
}
