using TorchSharp;
using Transformer.Configuration;
using Transformer.Distributed;
using static TorchSharp.torch;

namespace Transformer.Tests.Distributed;

/// <summary>
/// The calls of <see cref="Nccl"/> to NCCL and CUDA, their order, and the handling of failures. Whether the libraries do as their headers
/// say cannot be tested here.
/// </summary>
public sealed class NcclTests
{
    private static readonly ScalarType[] Added = [ScalarType.Float32, ScalarType.Float64];
    private static readonly ScalarType[] Carried = [.. Added, ScalarType.BFloat16, ScalarType.Float16, ScalarType.Int64, ScalarType.Byte];

    private static readonly Dictionary<string, (ScalarType[] Types, Action<ICollective, Tensor> Act)> Operations = new()
    {
        ["reduce-scatter"] = (Added, (rank, buffer) => rank.ReduceScatter(buffer).Wait()),
        ["all-reduce"] = (Added, (rank, buffer) => rank.AllReduce(buffer).Wait()),
        ["all-gather"] = (Carried, (rank, buffer) => rank.AllGather(buffer).Wait()),
        ["broadcast"] = (Carried, (rank, buffer) => rank.Broadcast(buffer, root: 1)),
    };

    public static TheoryData<string, ScalarType, int> Cases => new(
        from operation in Operations from type in operation.Value.Types from ranks in (int[])[2, 3, 4] select (operation.Key, type, ranks));

    [Theory, MemberData(nameof(Cases))]
    public void Every_operation_gives_the_bits_that_plain_ranks_give(string operation, ScalarType type, int ranks)
    {
        var (plain, connected) = (Results(Threads.Run), Results(NcclStandIn.Run));
        for (var rank = 0; rank < ranks; rank++) Assert.Equal(plain[rank], connected[rank]);

        byte[][] Results(Action<int, Action<ICollective>> run)
        {
            var results = new byte[ranks][];
            run(ranks, rank =>
            {
                using var scope = NewDisposeScope();
                var numbers = arange(ranks * 7, ScalarType.Float64).mul(0.37 * (rank.Rank + 1)).add(rank.Rank).to(type).view(ranks, 7);
                Operations[operation].Act(rank, numbers);
                // After a reduce-scatter the other slices are undefined.
                results[rank.Rank] = (operation == "reduce-scatter" ? numbers[rank.Rank] : numbers).contiguous().bytes.ToArray();
            });
            return results;
        }
    }

    [Fact]
    public void An_operation_follows_what_was_computed_and_is_followed_by_what_comes_after_waiting_while_no_thread_waits()
    {
        NcclStandIn.Run(2, rank =>
        {
            using var scope = NewDisposeScope();
            NcclStandIn.Calls.Clear();
            var (first, second) = (ones(4), ones(4));
            var sum = rank.ReduceScatter(first);
            string[] begun =
            [
                "event 1 is where the default stream is", "stream 1 waits for event 1", "reduce-scatter on stream 1",
                "event 2 is where stream 1 is",
            ];
            Assert.Equal(begun, NcclStandIn.Calls);
            Near.Equal(ones(4), first, 0, "a sum that was not waited for");

            var both = rank.AllReduce(second);
            string[] beside =
            [
                "event 1 is where the default stream is", "stream 1 waits for event 1", "reduce-scatter on stream 1",
                "all-gather on stream 1", "event 3 is where stream 1 is",
            ];
            Assert.Equal(begun.Concat(beside), NcclStandIn.Calls);

            sum.Wait();
            sum.Wait();
            Near.Equal(full([2], 2f), first.narrow(0, 2 * rank.Rank, 2), 0, "a sum");
            Near.Equal(ones(4), second, 0, "a sum that was begun later");
            both.Wait();
            Near.Equal(full([4], 2f), second, 0, "both sums");
            rank.AllGather(first).Wait();
            string[] after =
            [
                "the default stream waits for event 2", "the default stream waits for event 3", "event 1 is where the default stream is",
                "stream 1 waits for event 1",
                "all-gather on stream 1", "event 3 is where stream 1 is", "the default stream waits for event 3",
            ];
            Assert.Equal(begun.Concat(beside).Concat(after), NcclStandIn.Calls);
        });
    }

    [Fact]
    public void Numbers_of_the_processor_s_memory_go_on_over_the_host_s_ranks() => Threads.Run(2, host =>
    {
        using var scope = NewDisposeScope();
        using var rank = NcclStandIn.On(host, new Device(DeviceType.CUDA, 0));
        NcclStandIn.Calls.Clear();
        Assert.Equal([0, 1], rank.Gather(rank.Rank).Select(numbers => numbers[0]));
        var (sum, whole) = (ones(4), full([3], (float)rank.Rank));
        rank.AllReduce(sum).Wait();
        rank.ReduceScatter(ones(4)).Wait();
        rank.Broadcast(whole, root: 1);
        Near.Equal(full([4], 2f), sum, 0);
        Near.Equal(ones(3), whole, 0);
        Assert.Empty(NcclStandIn.Calls);
    });

    [Theory]
    [InlineData("a length that two ranks do not divide")]
    [InlineData("a buffer that is not contiguous")]
    [InlineData("integers to be added up")]
    public void Buffers_that_do_not_fit_are_refused_before_anything_is_begun(string mistake) => NcclStandIn.Run(2, rank =>
    {
        using var scope = NewDisposeScope();
        NcclStandIn.Calls.Clear();
        Assert.Throws<ArgumentException>(() => rank.AllReduce(mistake switch
        {
            "a length that two ranks do not divide" => ones(3),
            "a buffer that is not contiguous" => ones(4, 4).t(),
            _ => ones(4, ScalarType.Int64),
        }));
        Assert.Empty(NcclStandIn.Calls);
        rank.AllReduce(ones(4)).Wait();
    });

    [Fact]
    public void What_NCCL_refuses_is_told_and_nothing_is_begun_after_it() => Threads.Run(2, host =>
    {
        using var scope = NewDisposeScope();
        using (var rank = NcclStandIn.On(host))
        {
            NcclStandIn.NextResult = 1;
            const string Told = "NCCL, adding up: a general word (error 1): the last word";
            Assert.Equal(Told, Assert.Throws<InvalidOperationException>(() => rank.ReduceScatter(ones(4))).Message);
            NcclStandIn.NextResult = 0;
            Assert.Equal(Told, Assert.Throws<InvalidOperationException>(() => rank.AllGather(ones(4))).Message);
        }
        Assert.True(NcclStandIn.Joined is { IsAborted: true, IsDestroyed: false }, "what may never end is aborted");
    });

    [Fact]
    public void A_communicator_whose_work_is_done_is_taken_leave_of_and_not_aborted() => Threads.Run(2, host =>
    {
        using (var rank = NcclStandIn.On(host)) rank.AllReduce(ones(4)).Wait();
        Assert.True(NcclStandIn.Joined is { IsAborted: false, IsDestroyed: true });
    });

    [Fact]
    public void An_operation_that_fails_on_a_device_ends_the_job_with_rank_and_step_named() => Threads.Run(2, threads =>
    {
        using var told = new StringWriter();
        var host = new Ending(threads);
        using var rank = NcclStandIn.On(host, error: told);
        rank.CurrentOperation = "step 7";
        if (rank.Rank != 1) return;
        NcclStandIn.Joined!.AsynchronousError = NcclStandIn.Remote;
        Assert.True(host.Code.Wait(TimeSpan.FromSeconds(10)), "the job does not end");
        Assert.Equal(1, host.Code.Result);
        Assert.Equal(
            "rank 1, step 7: NCCL, on cpu: a general word (error 6): the last word. The job ends; its last checkpoint is complete."
                + Environment.NewLine, told.ToString());
        Assert.True(NcclStandIn.Joined.IsAborted);
    });

    [Fact]
    public void A_communicator_that_cannot_be_aborted_does_not_keep_the_job() => Threads.Run(2, threads =>
    {
        using var abortable = new ManualResetEvent(false);
        var host = new Ending(threads);
        using var rank = new Nccl(host, CPU, NcclStandIn.Library, NcclStandIn.Streams, TextWriter.Null)
        {
            Patience = TimeSpan.FromMilliseconds(50)
        };
        NcclStandIn.Joined!.Abortable = abortable;
        rank.Abort(3);
        Assert.Equal(3, host.Code.Result);
        Assert.False(NcclStandIn.Joined.IsAborted);
        abortable.Set();
    });

    [Fact]
    public void A_machine_without_NCCL_is_told_what_to_install()
    {
        var failure = Assert.Throws<InputException>(() => NcclLibrary.Load(_ => 0, ["libnccl-of-nowhere.so.2"]));
        Assert.StartsWith(
            "ranks on GPUs need NCCL, but libnccl-of-nowhere.so.2 was not found.\n", failure.Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void NCCL_is_looked_for_beside_libtorch_and_where_pip_puts_it() => Assert.Equal(
        ["/env/site-packages/torch/lib/libnccl.so.2", "/env/site-packages/nvidia/nccl/lib/libnccl.so.2", "libnccl.so.2"],
        NcclLibrary.Candidates("/env/site-packages/torch/lib"));

    [Fact]
    public void Its_version_is_told_as_NVIDIA_writes_it() => Assert.Equal("2.27.5", NcclStandIn.Library.Version);

    // The host of a rank; aborting is only recorded.
    private sealed class Ending(ICollective host) : ICollective
    {
        private readonly TaskCompletionSource<int> code = new();

        public Task<int> Code => code.Task;

        public int Rank => host.Rank;

        public int Ranks => host.Ranks;

        public string CurrentOperation { get => host.CurrentOperation; set => host.CurrentOperation = value; }

        public CollectiveWork ReduceScatter(Tensor buffer) => host.ReduceScatter(buffer);

        public CollectiveWork AllGather(Tensor buffer) => host.AllGather(buffer);

        public void Broadcast(Tensor tensor, int root) => host.Broadcast(tensor, root);

        public void Abort(int with) => code.TrySetResult(with);

        public void Dispose()
        {
        }
    }
}
