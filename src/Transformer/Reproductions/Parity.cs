using System.Diagnostics;
using Transformer.Configuration;
using Transformer.Data.Tasks;
using Transformer.Evaluation;
using Transformer.Model;
using Transformer.Native;
using Transformer.Runs;
using Transformer.Training;
using static TorchSharp.torch;

namespace Transformer.Reproductions;

// B sequences · T bits

/// <summary>
/// Parity beyond the trained length (Grazzi et al. 2024, arXiv:2411.12537): one layer of DeltaNet and its MLP, trained on sequences of 40
/// bits with a label at every place, so that every shorter length is trained too, and measured on up to 256. With eigenvalues from 0 to 1
/// it stays at chance, with eigenvalues from -1 to 1 it can be solved.
/// </summary>
/// <param name="NegativeEigenvalues">Whether eigenvalues go from -1 to 1 or from 0 to 1.</param>
/// <param name="ConvolutionWidth">The tokens that the short convolution sees; 0 for none.</param>
/// <param name="Seed">Of the parameters and the sequences.</param>
/// <param name="Curve">One point per length, the shortest first.</param>
/// <param name="Steps">How many steps were trained.</param>
/// <param name="Seconds">How long training and measurement took.</param>
public sealed record Parity(
    bool NegativeEigenvalues, int ConvolutionWidth, int Seed, IReadOnlyList<Parity.Point> Curve, int Steps, double Seconds)
{
    /// <summary>The accuracy at one length.</summary>
    /// <param name="Length">T, the bits up to the last place that counts.</param>
    /// <param name="Accuracy">The fraction of right labels at the last 16 places of sequences of that length; 0.5 is chance.</param>
    public sealed record Point(int Length, double Accuracy);

    /// <summary>The lengths at which accuracy is measured; the first is the trained one.</summary>
    public static IReadOnlyList<int> Lengths { get; } = [40, 64, 128, 256];

    /// <summary>The default number of steps.</summary>
    public const int DefaultSteps = 500;

    private const int BatchSize = 64, TestRows = 500, Places = 16;
    private const double LearningRatePeak = 1e-2, GradientNorm = 1;
    private static readonly ScheduleConfig Schedule = new CosineScheduleConfig { WarmupSteps = 50, FinalRatio = 0 };

    /// <summary>Trains one model and measures it.</summary>
    /// <param name="negativeEigenvalues">Whether eigenvalues go from -1 to 1 or from 0 to 1.</param>
    /// <param name="seed">Of the parameters and the sequences.</param>
    /// <param name="convolutionWidth">The tokens that the short convolution sees; 0 for none.</param>
    /// <param name="steps">How many steps to train.</param>
    /// <param name="cancellation">Ends it between two steps.</param>
    public static Parity Run(
        bool negativeEigenvalues, int seed, int convolutionWidth = 0, int steps = DefaultSteps, CancellationToken cancellation = default)
    {
        using var oneThread = new OneThread();
        var watch = Stopwatch.StartNew();
        manual_seed(seed);
        using var data = new TaskDataset(
            new ParityTaskConfig { Length = Lengths[0], ValidationLength = Lengths[^1], ValidationRows = TestRows, Seed = seed });
        using var model = new TransformerModel(Model(negativeEigenvalues, convolutionWidth));
        using var optimizer = optim.Adam(model.parameters(), LearningRatePeak);
        for (var step = 0; step < steps; step++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            foreach (var group in optimizer.ParamGroups) group.LearningRate = LearningRatePeak * LearningRate.At(Schedule, step, steps);
            var rows = data.Rows(TaskSplit.Training, [.. Enumerable.Range(BatchSize * step, BatchSize).Select(row => (ulong)row)]);
            var (bits, labels) = BatchTensors.On(rows, CPU);                                        // 2 x [B, T]
            optimizer.zero_grad();
            LanguageModelLoss.CrossEntropy(model.call(bits, null), labels).backward();
            nn.utils.clip_grad_norm_(model.parameters(), GradientNorm);
            optimizer.step();
        }
        return new(negativeEigenvalues, convolutionWidth, seed, Measure(model, data), steps, watch.Elapsed.TotalSeconds);
    }

    // Two symbols, no positions: only the state can count.
    private static ModelConfig Model(bool negativeEigenvalues, int convolutionWidth) => new()
    {
        Width = 32,
        ContextLength = Lengths[^1],
        Layers = 1,
        VocabularySize = 2,
        Attention = new LinearAttentionConfig
        {
            Rule = new DeltaRule(),
            Heads = 2,
            ConvolutionWidth = convolutionWidth,
            NegativeEigenvalues = negativeEigenvalues,
            ChunkLength = 8,
        },
        Position = new NoPositionConfig(),
        Mlp = new SwiGluMlpConfig(),
        Norm = new RmsNormConfig(),
        TiedHead = false,
    };

    // No label sees what comes after it, so the first T places of the longest sequences are sequences of T bits.
    private static List<Point> Measure(TransformerModel model, TaskDataset data)
    {
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        var (bits, labels) = BatchTensors.On(data.HeldOut(TestRows, Lengths[^1]).Single(), CPU);
        var right = (model.call(bits, null).argmax(-1) == labels).to(ScalarType.Float32).mean([0L]);       // [T]
        return [.. Lengths.Select(length => new Point(length, right.narrow(0, length - Places, Places).mean().item<float>()))];
    }
}
