namespace Transformer.Configuration;

/// <summary>
/// A convolutional stem (Xiao et al. 2021, arXiv:2106.14881): convolutions of 3 x 3 that halve the side of a picture, each with a norm of
/// the channels and ReLU.
/// </summary>
public sealed record StemConfig : IValidated
{
    private const int MostConvolutions = 8, MostChannels = 1 << 14;

    /// <summary>How many numbers each convolution gives a place, the first one first.</summary>
    public required IReadOnlyList<int> Channels { get; init; }

    /// <summary>The side of what it gives for pictures of a side: half of it, rounded up, by each convolution.</summary>
    internal int SideOf(int size) => Channels.Aggregate(size, (side, _) => (side + 1) / 2);

    /// <summary>What it learns, named relative to it.</summary>
    /// <param name="norm">The norm of the channels.</param>
    internal IEnumerable<ParameterSpec> Parameters(NormConfig norm) =>
    [
        .. Channels.SelectMany((channels, layer) => (ParameterSpec[])
        [
            new($"convolutions.{layer}.weight", [channels, layer == 0 ? 3 : Channels[layer - 1], 3, 3], new LayerDraw()),
            new($"convolutions.{layer}.bias", [channels], new LayerDraw()),
        ]),
        .. Channels.SelectMany((channels, layer) =>
            norm.Parameters(channels).Select(parameter => parameter.Within($"norms.{layer}"))),
    ];

    /// <summary>The products of weights and numbers for one picture.</summary>
    /// <param name="size">The picture's side.</param>
    internal double Products(int size)
    {
        var (side, from, sum) = (size, 3, 0.0);
        foreach (var channels in Channels)
        {
            side = (side + 1) / 2;
            sum += 9.0 * from * channels * side * side;
            from = channels;
        }
        return sum;
    }

    /// <inheritdoc/>
    public IEnumerable<ConfigProblem> Problems()
    {
        if (Channels.Count is < 1 or > MostConvolutions)
            yield return new("channels", $"found {Channels.Count} convolutions, expected 1 to {MostConvolutions}");
        foreach (var channels in Channels.Where(channels => channels is < 1 or > MostChannels))
            yield return new("channels", $"found {channels}, expected 1 to {MostChannels}");
    }
}
