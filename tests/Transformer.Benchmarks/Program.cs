using BenchmarkDotNet.Running;

// dotnet run -c Release --project tests/Transformer.Benchmarks -- --filter '*'
BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
