using System.CommandLine;
using Transformer.Distributed;

namespace Transformer.Cli;

/// <summary>A verb that several ranks carry out together.</summary>
internal static class RankedVerb
{
    /// <summary>
    /// Errors raised on every rank are reported by rank 0; an error on one rank aborts the job, since the others would wait for it.
    /// </summary>
    /// <param name="request">The request, the same on every rank.</param>
    /// <param name="ranks">The processes; there may be one only.</param>
    /// <param name="act">The verb.</param>
    /// <param name="isAlike">Whether a failure is raised on every rank at the same point.</param>
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
            if (message.Length > 0) request.InvocationConfiguration.Error.WriteLine(
                request.GetValue(SharedOptions.Verbose) ? failure.ToString() : $"rank {ranks.Rank}, {ranks.CurrentOperation}: {message}");
            ranks.Abort(code);
            return code;
        }
    }
}
