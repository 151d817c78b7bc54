namespace Transformer.Configuration;

/// <summary>
/// The kinds that a backend computes. A model with any other kind is refused before the first step, never computed as another.
/// </summary>
/// <param name="backend">The name of the backend in the plural, such as <c>the CPU kernels</c>.</param>
/// <param name="kinds">The records of all of them.</param>
public sealed class KnownKinds(string backend, params Type[] kinds)
{
    /// <summary>
    /// Why the backend cannot compute a model: the key, the known kinds and the one found. Null if it computes every part.
    /// </summary>
    public string? ObstacleTo(ModelConfig model) => (
        from part in Parts(model).Concat(HourglassParts(model)).Concat(VisionParts(model))
        where !kinds.Contains(part.Kind.GetType())
        select $"{part.Path}.kind: {backend} know {Known(part.Family)}, not {Kind.NameOf(part.Kind)}").FirstOrDefault()
        ?? ExplicitKernel(model) ?? Hourglass(model);

    private bool KnowsHourglasses => kinds.Contains(typeof(HourglassConfig));

    private string? Hourglass(ModelConfig model) =>
        KnowsHourglasses || model.Layers.Hourglasses.FirstOrDefault() is not { Path: { } path }
            ? null
            : $"model.layers{path}: {backend} know blocks alone, not hourglasses";

    // A change to the equation takes effect where it stands, not in a backend's own code.
    private string? ExplicitKernel(ModelConfig model) => (
        from part in model.MixersByPath()
        where part.Mixer is SoftmaxAttentionConfig { Kernel: SoftmaxKernel.Explicit }
        select $"{part.Path}.kernel: {backend} have code of their own; explicit is what libtorch computes").FirstOrDefault();

    /// <summary>The kinds of a family as a phrase: <c>softmax, linear and convolution</c>.</summary>
    private string Known(Type family)
    {
        string[] names = [.. kinds.Where(kind => kind.IsAssignableTo(family)).Select(Kind.NameOf)];
        return names.Length == 0 ? "none" : names.Length < 2 ? string.Concat(names) : $"{string.Join(", ", names[..^1])} and {names[^1]}";
    }

    // Of no interest to a backend that knows blocks alone.
    private IEnumerable<(string Path, Type Family, object Kind)> HourglassParts(ModelConfig model)
    {
        foreach (var (path, hourglass) in KnowsHourglasses ? model.Layers.Hourglasses : [])
        {
            var own = $"model.layers{path}";
            yield return ($"{own}.pooling", typeof(PoolingConfig), hourglass.Pooling);
            if (hourglass.Pooling is AttentionPoolingConfig { Initial: var pooling })
                yield return ($"{own}.pooling.initial", typeof(PoolingConfig), pooling);
            yield return ($"{own}.upsampling", typeof(UpsamplingConfig), hourglass.Upsampling);
            if (hourglass.Upsampling is AttentionUpsamplingConfig { Initial: var upsampling })
                yield return ($"{own}.upsampling.initial", typeof(UpsamplingConfig), upsampling);
            if (hourglass.Boundaries is { } boundaries) yield return ($"{own}.boundaries", typeof(BoundaryConfig), boundaries);
        }
    }

    // Of no interest to a backend that does not know how the model reads pictures.
    private IEnumerable<(string Path, Type Family, object Kind)> VisionParts(ModelConfig model)
    {
        const string Own = "model.vision";
        if (model.Vision is not { } vision || !kinds.Contains(vision.GetType())) yield break;
        foreach (var part in MlpParts($"{Own}.encoder.mlp", vision.Encoder.Mlp)) yield return part;
        if (vision.Encoder.Norm is { } norm) yield return ($"{Own}.encoder.norm", typeof(NormConfig), norm);
        yield return ($"{Own}.projector", typeof(ProjectorConfig), vision.Projector);
        if (vision.Projector is PerceiverResamplerConfig { Mlp: var resampling })
            foreach (var part in MlpParts($"{Own}.projector.mlp", resampling)) yield return part;
        if (vision is GatedCrossAttentionConfig { Mlp: var mlp })
            foreach (var part in MlpParts($"{Own}.mlp", mlp)) yield return part;
    }

    private static IEnumerable<(string Path, Type Family, object Kind)> MlpParts(string path, MlpConfig mlp)
    {
        yield return (path, typeof(MlpConfig), mlp);
        if (mlp is MixtureMlpConfig { Expert: var expert }) yield return ($"{path}.expert", typeof(MlpConfig), expert);
    }

    private static IEnumerable<(string Path, Type Family, object Kind)> Parts(ModelConfig model)
    {
        foreach (var (path, mixer) in model.MixersByPath())
        {
            yield return (path, typeof(AttentionConfig), mixer);
            if (mixer is SoftmaxAttentionConfig { Window: var window }) yield return ($"{path}.window", typeof(WindowConfig), window);
        }
        yield return ("model.position", typeof(PositionConfig), model.Position);
        if (model.Position is RotaryPositionConfig { Scaling: { } scaling })
            yield return ("model.position.scaling", typeof(RotaryScalingConfig), scaling);
        foreach (var part in MlpParts("model.mlp", model.Mlp)) yield return part;
        yield return ("model.norm", typeof(NormConfig), model.Norm);
        yield return ("model.residual", typeof(ResidualConfig), model.Residual);
        if (model.Vision is { } vision) yield return ("model.vision", typeof(VisionConfig), vision);
        if (model.Memory is { } memory) yield return ("model.memory", typeof(MemoryConfig), memory);
    }
}
