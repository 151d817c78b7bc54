using System.Globalization;
using System.Xml.Linq;
using Transformer.Configuration;

namespace Transformer.Diagrams;

// T tokens · H heads

/// <summary>
/// The T x T matrix of a model's softmax attention as a picture: which keys each query sees, and how much masks and fixed biases leave of
/// each. There is one for each mixer and head that differs from those before.
/// </summary>
public static class AttentionDiagram
{
    private const int Margin = 24, Top = 62, Gap = 40, Cell = 18, Step = Cell + 2, Label = 26, WidestRow = 1500;
    private const string Axes = "a row for each query, a column for each key";

    /// <summary>Draws the matrices of a model and writes them as SVG, the same bytes on every system.</summary>
    /// <param name="path">The picture's file.</param>
    /// <param name="model">The model.</param>
    /// <param name="tokens">T.</param>
    /// <exception cref="InputException">The model has no softmax attention, or the file cannot be written.</exception>
    public static void Write(string path, ModelConfig model, int tokens) => SvgPage.Save(Draw(model, tokens), path);

    /// <summary>Draws the matrices of a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="tokens">T.</param>
    /// <returns>An SVG document that is light or dark as the reader's page is.</returns>
    /// <exception cref="InputException">The model has no softmax attention.</exception>
    public static XDocument Draw(ModelConfig model, int tokens)
    {
        var matrices = Matrices(model, tokens).ToList();
        if (matrices.Count == 0)
        {
            var kinds = string.Join(", ", model.Blocks().Select(block => Kind.NameOf(block.Mixer)).Distinct());
            throw new InputException(
                $"model.attention: only the mask of softmax attention is drawn; found {(kinds.Length == 0 ? "no blocks" : kinds)}.");
        }
        var (page, x, y, right) = (new SvgPage(), Margin, 0, 0);
        foreach (var matrix in matrices)
        {
            var width = Math.Max(Label + tokens * Step, Math.Max(
                TextWidth.Of(matrix.Name, Card.Size, isBold: true), TextWidth.Of(matrix.Settings, Card.SmallSize)));
            if (x > Margin && x + width > WidestRow) (x, y) = (Margin, y + Top + Label + tokens * Step);
            page.Text("title", x, y + 34, matrix.Name, Card.Size);
            page.Text("muted", x, y + 52, matrix.Settings, Card.SmallSize);
            DrawWeights(page, matrix.Weights, x, y + Top);
            right = Math.Max(right, x + width);
            x += width + Gap;
        }
        var bottom = y + Top + Label + tokens * Step + 14;
        var legend = DrawLegend(page, Margin + Label, bottom, matrices.Exists(matrix => matrix.Weights.Cast<double>().Any(IsShade)));
        page.Text("muted", Margin + Label, bottom + Cell + 22, Axes, Card.SmallSize);
        var axes = Margin + Label + TextWidth.Of(Axes, Card.SmallSize);
        return page.Finish(
            Math.Max(Math.Max(right, axes), legend) + Margin, bottom + Cell + 22 + Margin,
            $"Which of {tokens} keys each query sees: {string.Join("; ", matrices.Select(matrix => matrix.Name))}");
    }

    private static bool IsShade(double weight) => weight is > 0 and < 1;

    // Heads and mixers whose matrices are those of one before are left out.
    private static IEnumerable<(string Name, string Settings, double[,] Weights)> Matrices(ModelConfig model, int tokens)
    {
        var shown = new List<double[,]>();
        foreach (var mixer in model.SoftmaxMixers())
        {
            var position = model.Position is ScoreBiasPositionConfig ? $", {Kind.NameOf(model.Position)}" : "";
            var name = $"causal attention, window {Kind.NameOf(mixer.Window)}{position}";
            var isLearned = mixer.Window.Parameters(mixer.Heads, model.Width).Any();
            var settings = string.Join(", ", [.. PartSettings.Of(mixer.Window), .. isLearned ? ["before training"] : (string[])[]]);
            var heads = AttentionWeights.OfEqualScores(model, mixer, tokens);
            var areAlike = heads.All(head => AreEqual(head, heads[0]));
            foreach (var (head, weights) in heads.Index())
            {
                if (shown.Exists(other => AreEqual(other, weights))) continue;
                shown.Add(weights);
                yield return (areAlike ? name : $"{name}, head {head}", settings, weights);
            }
        }
    }

    private static bool AreEqual(double[,] one, double[,] other) => one.Cast<double>().SequenceEqual(other.Cast<double>());

    private static void DrawWeights(SvgPage page, double[,] weights, int x, int y)
    {
        var tokens = weights.GetLength(0);
        for (var t = 0; t < tokens; t++)
        {
            var (across, down) = (x + Label + t * Step, y + Label + t * Step);
            var number = t.ToString(CultureInfo.InvariantCulture);
            page.Text("muted", across + Cell / 2, y + 18, number, 10, "middle");
            page.Text("muted", x + Label - 6, down + 13, number, 10, "end");
            for (var s = 0; s < tokens; s++)
            {
                var left = x + Label + s * Step;
                page.Square("cell", left, down, Cell, 1);
                if (weights[t, s] > 0) page.Square("key", left, down, Cell, weights[t, s]);
            }
        }
    }

    private static int DrawLegend(SvgPage page, int x, int y, bool hasShades)
    {
        (double Weight, string Text)[] entries = hasShades
            ? [(1, "seen in full"), (0.4, "seen in part"), (0, "not seen")]
            : [(1, "seen"), (0, "not seen")];
        foreach (var (weight, text) in entries)
        {
            page.Square("cell", x, y, Cell, 1);
            if (weight > 0) page.Square("key", x, y, Cell, weight);
            page.Text("ink", x + Cell + 8, y + 13, text, Card.SmallSize);
            x += Cell + 8 + TextWidth.Of(text, Card.SmallSize) + 20;
        }
        return x;
    }
}
