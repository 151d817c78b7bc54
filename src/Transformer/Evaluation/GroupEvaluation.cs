using System.Text;
using Transformer.Configuration;
using Transformer.Data;
using Transformer.Layers;
using Transformer.Model;
using Transformer.Native;
using Transformer.Tokenization;
using static TorchSharp.torch;

namespace Transformer.Evaluation;

// B batch · T tokens

/// <summary>Where an hourglass with boundaries ends its groups in a text, and how well that agrees with white space.</summary>
/// <param name="Boundaries">What tells the boundaries.</param>
/// <param name="Tokens">How many tokens were read.</param>
/// <param name="Ends">How many of them end a group.</param>
/// <param name="WhiteSpace">How many of them contain white space.</param>
/// <param name="Both">How many do both.</param>
public sealed record GroupEvaluation(string Boundaries, long Tokens, long Ends, long WhiteSpace, long Both)
{
    /// <summary>What stands between groups where a text shows them.</summary>
    public const char Mark = '\u2502';

    /// <summary>The share of the tokens that end a group.</summary>
    public double Rate => (double)Ends / Tokens;

    /// <summary>The share of the ends that are white space.</summary>
    public double Precision => Ends == 0 ? 0 : (double)Both / Ends;

    /// <summary>The share of the white space that ends a group.</summary>
    public double Recall => WhiteSpace == 0 ? 0 : (double)Both / WhiteSpace;

    /// <summary>2 precision recall / (precision + recall).</summary>
    public double F1 => Both == 0 ? 0 : 2 * Precision * Recall / (Precision + Recall);

    /// <summary>That of as many random ends: their precision is the share of white space, their recall their rate.</summary>
    public double RandomF1 => WhiteSpace + Ends == 0 ? 0 : 2.0 * WhiteSpace / Tokens * Rate / (((double)WhiteSpace / Tokens) + Rate);

    /// <summary>Measures each hourglass of a model whose boundaries are told by tokens or by what is made of them.</summary>
    /// <param name="model">The model; its training mode is restored afterwards.</param>
    /// <param name="batches">What it reads.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="cancellation">Ends the measurement between two batches.</param>
    /// <returns>One for each, in the order of the stream.</returns>
    public static IReadOnlyList<GroupEvaluation> Measure(
        TransformerModel model, IEnumerable<Batch> batches, Tokenizer tokenizer, CancellationToken cancellation = default)
    {
        var sums = new List<GroupEvaluation>();
        var whiteSpace = WhiteSpaceTokens.Of(tokenizer).ToHashSet();
        foreach (var batch in batches)
        {
            cancellation.ThrowIfCancellationRequested();
            var isText = Array.ConvertAll(batch.Targets, target => target != Batch.IgnoredTarget);    // the rest is padding
            var isWhite = batch.Inputs.Zip(isText, (id, isToken) => isToken && whiteSpace.Contains((int)id)).ToArray();
            foreach (var (index, (kind, ends)) in EndsOf(model, batch).Index())
            {
                if (sums.Count == index) sums.Add(new(kind, 0, 0, 0, 0));
                var sum = sums[index];
                sums[index] = sum with
                {
                    Tokens = sum.Tokens + isText.Count(isToken => isToken),
                    Ends = sum.Ends + ends.Zip(isText).Count(pair => pair is { First: true, Second: true }),
                    WhiteSpace = sum.WhiteSpace + isWhite.Count(white => white),
                    Both = sum.Both + ends.Zip(isWhite).Count(pair => pair is { First: true, Second: true }),
                };
            }
        }
        return sums;
    }

    /// <summary>The same on a text.</summary>
    /// <inheritdoc cref="Measure(TransformerModel, IEnumerable{Batch}, Tokenizer, CancellationToken)"/>
    public static IReadOnlyList<GroupEvaluation> Measure(
        TransformerModel model, TextEvaluation text, Tokenizer tokenizer, CancellationToken cancellation = default) =>
        Measure(model, text.Batches(model.Config), tokenizer, cancellation);

    /// <summary>A text with a mark behind every token that ends a group, for each hourglass with boundaries.</summary>
    /// <param name="model">The model; its training mode is restored afterwards.</param>
    /// <param name="ids">The text's tokens; those beyond the context are left out.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    public static IReadOnlyList<string> Marked(TransformerModel model, IReadOnlyList<int> ids, Tokenizer tokenizer)
    {
        int[] read = [.. ids.Take(model.Config.MostTokens)];
        return read.Length == 0 ? [] :
        [
            .. TextGroups.Of(model, read).Where(groups => groups.Hourglass.Config.Boundaries is not null)
                .Select(groups => Marked(groups.Ends)),
        ];

        string Marked(IReadOnlyList<bool> ends)
        {
            var bytes = new List<byte>();
            var mark = Encoding.UTF8.GetBytes([Mark]);
            for (var t = 0; t < read.Length; t++)
            {
                bytes.AddRange(tokenizer.BytesOf(read[t]));
                if (ends[t]) bytes.AddRange(mark);
            }
            return Encoding.UTF8.GetString([.. bytes]);
        }
    }

    private static IReadOnlyList<(string Kind, bool[] Ends)> EndsOf(TransformerModel model, Batch batch)
    {
        using var _ = inference_mode();
        using var scope = NewDisposeScope();
        var inputs = BatchTensors.On(batch, model.Device).Inputs;
        return ModelEvaluation.WithoutDropout(model, () => model.Boundaries(inputs, BatchTensors.Pictures(batch, model))
            .Select(found => (Kind.NameOf(found.Config), Of(found))).ToList());

        static bool[] Of(TokenBoundaries found)
        {
            using (found) return Array.ConvertAll(found.Ends.ToHost(), end => end > 0);
        }
    }
}
