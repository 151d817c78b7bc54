namespace Transformer.Cli;

/// <summary>Numbers as people read them, with three digits.</summary>
internal static class Numbers
{
    private static readonly string[] Counts = ["", "k", "M", "B", "T"];
    private static readonly string[] FlopUnits = [" FLOP", " kFLOP", " MFLOP", " GFLOP", " TFLOP", " PFLOP"];
    private static readonly string[] ByteUnits = [" B", " KiB", " MiB", " GiB", " TiB"];

    /// <summary>A count, e.g. 124M.</summary>
    public static string Count(double number) => Scaled(number, 1000, Counts);

    /// <summary>Floating-point operations, e.g. 798 MFLOP.</summary>
    public static string Flops(double operations) => Scaled(operations, 1000, FlopUnits);

    /// <summary>Bytes in binary units, e.g. 475 MiB.</summary>
    public static string Bytes(double bytes) => Scaled(bytes, 1024, ByteUnits);

    /// <summary>A duration as hours, minutes and seconds, e.g. 0:01:23; days are hours.</summary>
    public static string Duration(TimeSpan time) => $"{(long)time.TotalHours}:{time:mm\\:ss}";

    private static string Scaled(double number, double step, string[] units)
    {
        var unit = 0;
        for (; number >= step && unit < units.Length - 1; unit++) number /= step;
        return (number < 10 ? $"{number:0.##}" : number < 100 ? $"{number:0.#}" : $"{number:0}") + units[unit];
    }
}
