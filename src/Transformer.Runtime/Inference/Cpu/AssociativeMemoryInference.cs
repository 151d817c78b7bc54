using Transformer.Configuration;
using Transformer.Numerics;

namespace Transformer.Inference.Cpu;

// N tokens · C width · D width of a key · F features

/// <summary>
/// The associative memory of a block (Rodkin et al. 2024): every place reads before the block; behind it the memory tokens, which stand
/// after all words of a segment, write.
/// </summary>
internal sealed unsafe class AssociativeMemoryInference
{
    private const float Epsilon = (float)AssociativeMemoryConfig.Epsilon;

    private readonly AssociativeMemoryConfig config;
    private readonly int width, segment;
    private readonly MatrixProducts queries, writing;
    private readonly Activations q, k, v, b, features, known;
    private readonly PerTokenKernel reading;
    private TokenBatch batch = null!;
    private Activations stream = null!;
    private AssociativeMemoryState state = null!;

    /// <param name="plan">What all blocks share.</param>
    /// <param name="config">Features.</param>
    /// <param name="name">Its name with a dot at its end.</param>
    public AssociativeMemoryInference(InferencePlan plan, AssociativeMemoryConfig config, string name)
    {
        (this.config, width, segment) = (config, plan.Width, plan.Model.ContextLength);
        (q, k) = (plan.Workspace.Buffer("memory queries", config.KeyWidth), plan.Workspace.Buffer("memory keys", config.KeyWidth));
        (v, b) = (plan.Workspace.Buffer("memory values", width), plan.Workspace.Buffer("memory gates", 1));
        (features, known) = (plan.Workspace.Buffer("memory features", config.Features), plan.Workspace.Buffer("recalled", width));
        queries = plan.Products(plan.ExactMap(name + "q_proj", q));
        writing = plan.Products(plan.ExactMap(name + "k_proj", k), plan.ExactMap(name + "v_proj", v), plan.ExactMap(name + "b_proj", b));
        reading = new PerTokenKernel(plan.Team, Read);
    }

    /// <summary>The memory of rows that have no tokens yet.</summary>
    public AssociativeMemoryState NewState(int rows) => new(rows, config.Features, width);

    /// <summary>h + phi(q) A / (phi(q) z + epsilon), in place.</summary>
    public void Read(TokenBatch batch, Activations stream, AssociativeMemoryState state)
    {
        (this.batch, this.stream, this.state) = (batch, stream, state);
        queries.Run(stream, batch.Tokens);                                                          // [N, D]
        reading.Run(batch.Tokens);
    }

    /// <summary>Adds what the memory tokens of a batch write to what the next segment will read.</summary>
    public void Write(TokenBatch batch, Activations stream, AssociativeMemoryState state)
    {
        if (!Enumerable.Range(0, batch.Tokens).Any(token => batch.Position(token) >= segment)) return;
        writing.Run(stream, batch.Tokens);                                                          // [N, D], [N, C], [N, 1]
        for (var token = 0; token < batch.Tokens; token++)
            if (batch.Position(token) >= segment) Write(token, batch.Row(token), state);
    }

    private void Read(int token)
    {
        Dpfp(q.Row(token), features.Row(token));
        var sum = Recall(token, batch.Row(token), state);
        VectorKernels.AddScaled(1 / (sum + Epsilon), known.Row(token), stream.Row(token), width);
    }

    // A + b phi(k) (v - old), z + g phi(k).
    private void Write(int token, int row, AssociativeMemoryState state)
    {
        float* phi = features.Row(token), old = known.Row(token), value = v.Row(token);
        Dpfp(k.Row(token), phi);
        var gate = 1f;
        if (state.HasBegun(row))
        {
            var sum = Recall(token, row, state) + Epsilon;
            gate = Math.Clamp(1 - sum / (VectorMath.Dot(phi, phi, config.Features) + Epsilon), 0, 1);
            VectorKernels.AddScaled(-1 / sum, old, value, width);
        }
        var strength = VectorKernels.Sigmoid(b.Row(token)[0]);
        for (var f = 0; f < config.Features; f++)
            if (phi[f] != 0) VectorKernels.AddScaled(strength * phi[f], value, state.AddedMatrix(row) + (long)f * width, width);
        VectorKernels.AddScaled(gate, phi, state.AddedNormalizer(row), config.Features);
    }

    // phi A into its buffer; returns phi z.
    private float Recall(int token, int row, AssociativeMemoryState state)
    {
        float* phi = features.Row(token), sum = known.Row(token);
        new Span<float>(sum, width).Clear();
        for (var f = 0; f < config.Features; f++)
            if (phi[f] != 0) VectorKernels.AddScaled(phi[f], state.Matrix(row) + (long)f * width, sum, width);
        return VectorMath.Dot(phi, state.Normalizer(row), config.Features);
    }

    // r_i r_(i-j) for j = 1 .. nu, with r = relu([x, -x]).
    private void Dpfp(float* x, float* phi)
    {
        var count = 2 * config.KeyWidth;
        float R(int i) => Math.Max(0, i < config.KeyWidth ? x[i] : -x[i - config.KeyWidth]);
        for (var shift = 1; shift <= config.Nu; shift++)
            for (var i = 0; i < count; i++) phi[(shift - 1) * count + i] = R(i) * R(((i - shift) % count + count) % count);
    }
}
