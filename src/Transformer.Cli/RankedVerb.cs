using System.CommandLine;
using Transformer.Distributed;

namespace Transformer.Cli;

/// <summary>A verb that several ranks carry out together.</summary>
internal static class RankedVerb
{
    /// <summary>
    /// What all ranks meet alike, each takes its leave of, and rank 0 tells; what one alone meets ends the others too, which would wait for
    /// it.
    /// </summary>
    /// <param name="request">The request, the same on each.</param>
    /// <param name="ranks">The processes; there may be one only.</param>
    /// <param name="act">The verb.</param>
    /// <param name="isAlike">Whether a failure is one that all ranks meet at the same place.</param>
    public static int Run(ParseResult request, ICollective ranks, Func<int> act, Func<Exception, bool> isAlike)
    {
        try
        {
            return act();
        }
        catch (Exception failure) when (ranks.Ranks > 1 && failure is not CollectiveException)
        {
            var (code, message) = CommandLine.Describe(failure);
            if (isAlike(failure)) throw ranks.Rank == 0 ? new CollectiveException(message, failure) : new CollectiveException();
            request.InvocationConfiguration.Error.WriteLine(
                request.GetValue(SharedOptions.Verbose) ? failure.ToString() : $"rank {ranks.Rank}, {ranks.CurrentOperation}: {message}");
            ranks.Abort(code);
            return code;
        }
    }
}
