using Transformer.Runs;

namespace Transformer.Data.Tasks;

/// <summary>
/// Two numbers of equally many digits and their sum of one digit more, from the first digit to the last or reversed: 0 3 9 + 5 0 4 = 0 5 4
/// 3.
/// </summary>
internal sealed class AdditionTask(AdditionTaskConfig config) : SequenceTask
{
    private const int Plus = 10, Equal = 11;

    public override IReadOnlyList<string> Words { get; } = Numbered(10, "+", "=");

    // Summands and signs, and the sum without its last digit, which is only a target.
    public override long Tokens(int length) => 3L * length + 2;

    public override void Write(TaskRow row, int length, RowRandom random)
    {
        var (a, b) = (Digits(length, random), Digits(length, random));
        foreach (var digit in a) row.Give(digit);
        row.Give(Plus);
        foreach (var digit in b) row.Give(digit);
        row.Give(Equal);

        var (sum, carry) = (new int[length + 1], 0);
        for (var digit = length; digit > 0; digit--)
            (carry, sum[digit]) = Math.DivRem(a[digit - 1] + b[digit - 1] + carry, 10);
        sum[0] = carry;
        if (config.Reversed) Array.Reverse(sum);
        row.AskInTurn(sum);
    }

    private static int[] Digits(int length, RowRandom random) => [.. Enumerable.Range(0, length).Select(_ => random.Below(10))];
}
