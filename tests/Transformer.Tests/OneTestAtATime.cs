using Xunit.Sdk;
using Xunit.v3;

// Seeds, the count of live tensors and libtorch's threads are global to the process.
[assembly: Parallelization(Mode = ParallelMode.None)]
