using Xunit.Sdk;
using Xunit.v3;

// Seeds, the count of live tensors and libtorch's threads belong to the whole process.
[assembly: Parallelization(Mode = ParallelMode.None)]
