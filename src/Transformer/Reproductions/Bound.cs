using System.Globalization;

namespace Transformer.Reproductions;

/// <summary>What a figure has to be for a publication to hold, written before it is measured.</summary>
public sealed record Bound
{
    private readonly double least, most;
    private readonly string text;

    private Bound(double least, double most, string text) => (this.least, this.most, this.text) = (least, most, text);

    /// <summary>This number or more.</summary>
    public static Bound AtLeast(double least) => new(least, double.PositiveInfinity, $"at least {Shown(least)}");

    /// <summary>This number or less.</summary>
    public static Bound AtMost(double most) => new(double.NegativeInfinity, most, $"at most {Shown(most)}");

    /// <summary>The published number, or one that is no further from it than the tolerance.</summary>
    public static Bound Within(double tolerance, double of) =>
        new(of - tolerance, of + tolerance, $"within {Shown(tolerance)} of {Shown(of)}");

    /// <summary>Whether a figure is within the bound; what is not a number never is.</summary>
    public bool Holds(double figure) => figure >= least && figure <= most;

    /// <summary>The bound in words.</summary>
    public override string ToString() => text;

    private static string Shown(double number) => number.ToString(CultureInfo.InvariantCulture);
}
