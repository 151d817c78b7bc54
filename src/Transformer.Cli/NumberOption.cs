using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Transformer.Configuration;

namespace Transformer.Cli;

/// <summary>
/// Options whose value is a number. Every one is written the same way wherever the command runs: digits, a point, an exponent, never a
/// comma; and every one has bounds.
/// </summary>
internal static class NumberOption
{
    /// <summary>Takes whole numbers within bounds.</summary>
    /// <typeparam name="T"><see cref="int"/>, <see cref="long"/>, a nullable one of them, or an array of <see cref="int"/>.</typeparam>
    /// <param name="option">The option.</param>
    /// <param name="least">The least number.</param>
    /// <param name="most">The greatest number.</param>
    /// <param name="advice">Why there is this bound, or what to do; follows the bounds in the message.</param>
    public static Option<T> Whole<T>(this Option<T> option, long least, long most, string? advice = null)
    {
        var expected = $"a whole number from {least} to {most}{(advice is null ? "" : $"; {advice}")}";
        var type = Nullable.GetUnderlyingType(typeof(T)) ?? typeof(T);
        option.CustomParser = result =>
        {
            var numbers = Parse<long>(result, option.Name, expected,
                text => WholeNumber(text) is { } number && number >= least && number <= most ? number : null);
            if (numbers is null) return default;
            return (T)(type == typeof(int[]) ? numbers.ConvertAll(number => (int)number).ToArray()
                : type == typeof(int) ? (object)(int)numbers[0]
                : numbers[0]);
        };
        return option;
    }

    /// <summary>Takes numbers within bounds.</summary>
    /// <param name="option">The option.</param>
    /// <param name="least">The least number.</param>
    /// <param name="most">The greatest number.</param>
    /// <param name="isOpen">Whether the least number itself is excluded.</param>
    /// <param name="advice">What a value means; follows the bounds in the message.</param>
    /// <typeparam name="T"><see cref="double"/>, nullable or not.</typeparam>
    public static Option<T> Real<T>(this Option<T> option, double least, double most, bool isOpen = false, string? advice = null)
    {
        var expected = (isOpen ? $"a number above {least} and at most {most}" : $"a number from {least} to {most}")
            + (advice is null ? "" : $"; {advice}");
        option.CustomParser = result =>
        {
            var numbers = Parse<double>(result, option.Name, expected,
                text => RealNumber(text) is { } number && number <= most && (isOpen ? number > least : number >= least) ? number : null);
            return numbers is null ? default : (T)(object)numbers[0];
        };
        return option;
    }

    // All values of the option; null where one is wrong, which is then an error of the request.
    private static List<TNumber>? Parse<TNumber>(ArgumentResult result, string option, string expected, Func<string, TNumber?> read)
        where TNumber : struct
    {
        var numbers = new List<TNumber>();
        foreach (var token in result.Tokens)
        {
            if (read(token.Value) is { } number) numbers.Add(number);
            else
            {
                result.AddError($"{option}: found {(token.Value.Length == 0 ? "nothing" : token.Value)}, expected {expected}.");
                return null;
            }
        }
        return numbers;
    }

    // As in a configuration, 1e3 is 1000.
    private static long? WholeNumber(string text) =>
        long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number
            : RealNumber(text) is { } real ? ConfigScalar.Whole(real) : null;

    private static double? RealNumber(string text) => double.TryParse(
        text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent, CultureInfo.InvariantCulture,
        out var number) && double.IsFinite(number) ? number : null;
}
