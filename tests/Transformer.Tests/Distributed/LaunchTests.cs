using Transformer.Configuration;
using Transformer.Distributed;

namespace Transformer.Tests.Distributed;

public sealed class LaunchTests : IDisposable
{
    private static readonly string[] Variables = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"];
    private readonly Dictionary<string, string?> before = Variables.ToDictionary(name => name, Environment.GetEnvironmentVariable);

    public LaunchTests() => SetAll(_ => null);

    public void Dispose() => SetAll(name => before[name]);

    [Theory]
    [InlineData("OMPI_COMM_WORLD_SIZE=4", 4)]
    [InlineData("PMI_SIZE=3", 3)]
    [InlineData("SLURM_STEP_NUM_TASKS=16", 16)]
    [InlineData("SLURM_STEP_NUM_TASKS=1 OMPI_COMM_WORLD_SIZE=2", 2)]    // mpirun in a batch script
    [InlineData("SLURM_NTASKS=16", 1)]                                  // the batch script itself
    [InlineData("", 1)]
    public void The_launcher_s_variables_tell_how_many_ranks_there_are(string environment, int ranks)
    {
        foreach (var variable in environment.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            Environment.SetEnvironmentVariable(variable.Split('=')[0], variable.Split('=')[1]);
        Assert.Equal(ranks, Launch.Ranks);
    }

    [Theory]
    [InlineData("1.0 train; 1.0 train; 1.0 generate", "rank 2 was started to generate, rank 0 to train. Give all ranks the same verb.")]
    [InlineData("1.0 train; 1.1 generate", "rank 1 runs version 1.1, rank 0 1.0. Install the same one on all machines.")]
    [InlineData("1.0 train; 1.0 train no", "rank 1: no")]
    [InlineData("1.0 train; 1.0 train", "")]
    public void Ranks_agree_on_what_they_do_before_anything_else(string starts, string message)
    {
        var words = starts.Split("; ").Select(start => start.Split(' ')).ToArray();
        var messages = new string?[words.Length];
        Threads.Run(words.Length, rank =>
        {
            try
            {
                Launch.Agree(
                    rank, words[rank.Rank][1], words[rank.Rank][0],
                    words[rank.Rank] is [_, _, var refusal] ? new InputException(refusal) : null);
            }
            catch (CollectiveException e)
            {
                messages[rank.Rank] = e.Message;
            }
        });
        Assert.Equal(message, string.Concat(messages));
        Assert.Equal(message.Length > 0, Array.TrueForAll(messages, told => told is not null));
    }

    [Theory]
    [InlineData("a 0-7; a 0-7", "8; 8", "4; 4")]                                    // nothing is bound: halves
    [InlineData("a 0-3; a 4-7", "4; 4", "4; 4")]                                    // bound by the launcher: nothing is divided again
    [InlineData("a 0-7; a 0-7; a 0-7; b 0-1", "8; 8; 8; 2", "2; 2; 2; 2")]          // three ranks on one machine, one on a smaller one
    [InlineData("a 0; a 0; a 1", "1; 1; 1", "1; 1; 1")]                             // more ranks than processors: a thread at least
    public void Processors_are_shared_by_the_ranks_that_may_use_them(string processors, string counts, string threads)
    {
        var (allowed, expected) = (processors.Split("; "), threads.Split("; ").Select(int.Parse));
        int[] of = [.. counts.Split("; ").Select(int.Parse)], found = new int[of.Length];
        Threads.Run(of.Length, rank => found[rank.Rank] = Launch.Threads(rank, allowed[rank.Rank], of[rank.Rank]));
        Assert.Equal(expected, found);
    }

    [Fact]
    public void A_process_by_itself_has_all_its_processors() =>
        Assert.Equal(Environment.ProcessorCount, Launch.Threads(new SingleProcess()));

    private static void SetAll(Func<string, string?> value)
    {
        foreach (var name in Variables) Environment.SetEnvironmentVariable(name, value(name));
    }
}
