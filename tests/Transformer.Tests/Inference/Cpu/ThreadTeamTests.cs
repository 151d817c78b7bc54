using Transformer.Inference.Cpu;

namespace Transformer.Tests.Inference.Cpu;

public sealed class ThreadTeamTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void Every_piece_is_done_once_however_often_the_team_is_called_and_after_it_slept(int threads)
    {
        using var team = new ThreadTeam(threads);
        for (var round = 0; round < 300; round++)
        {
            var work = new Counting(pieces: round % 7);
            team.Run(work, round % 7);
            Assert.All(work.Times, times => Assert.Equal(1, times));
            Assert.InRange(work.HighestThread, 0, threads - 1);
            if (round % 100 == 50) Thread.Sleep(30);    // longer than a thread watches before it sleeps
        }
    }

    [Fact]
    public void What_a_piece_throws_the_caller_gets_and_the_team_works_on()
    {
        using var team = new ThreadTeam(3);
        var failure = Assert.Throws<InvalidOperationException>(() => team.Run(new Failing(), 20));
        Assert.Equal("piece 13", failure.Message);
        var work = new Counting(pieces: 9);
        team.Run(work, 9);
        Assert.All(work.Times, times => Assert.Equal(1, times));
    }

    private sealed class Counting(int pieces) : IParallelKernel
    {
        private int highest;

        public int[] Times { get; } = new int[pieces];

        public int HighestThread => highest;

        public void Do(int piece, int thread)
        {
            Interlocked.Increment(ref Times[piece]);
            if (thread > highest) highest = thread;
        }
    }

    private sealed class Failing : IParallelKernel
    {
        public void Do(int piece, int thread)
        {
            if (piece == 13) throw new InvalidOperationException("piece 13");
        }
    }
}
