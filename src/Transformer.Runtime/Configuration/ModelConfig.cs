using System.Globalization;

namespace Transformer.Configuration;

/// <summary>A decoder-only transformer: width, depth, context and the kind of each component.</summary>
public sealed record ModelConfig : IValidated
{
    /// <summary>The bounds of a model's dimensions, above those of any that was ever trained.</summary>
    internal const int WidestStream = 1 << 20, LongestContext = 1 << 27, MostLayers = 100_000, LargestVocabulary = 1 << 26;

    /// <summary>What the names of the modules below the head begin with.</summary>
    internal const string Root = "model.";

    private const double MostParameters = 1e15;

    /// <summary>C, the width of the residual stream.</summary>
    public required int Width { get; init; }

    /// <summary>
    /// The greatest number of tokens that a training sequence or a prompt with its continuation may have; with memory over segments the
    /// length of a segment, texts being of any length.
    /// </summary>
    public required int ContextLength { get; init; }

    /// <summary>L, the number of blocks; or a list of such numbers and of hourglasses.</summary>
    public required LayersConfig Layers { get; init; }

    /// <summary>V, the number of tokens. Taken from the tokenizer where absent.</summary>
    public int? VocabularySize { get; init; }

    /// <summary>How every block moves information between positions; absent where mixers and pattern say it block by block.</summary>
    public AttentionConfig? Attention { get; init; }

    /// <summary>Several ways to move information between positions, by names of one's own, for models whose blocks differ.</summary>
    public IReadOnlyDictionary<string, AttentionConfig>? Mixers { get; init; }

    /// <summary>
    /// The name of each block's mixer, from the embedding on; where there are more blocks than names, the names start over.
    /// </summary>
    public IReadOnlyList<string>? Pattern { get; init; }

    /// <summary>How the model knows the order of the tokens.</summary>
    public PositionConfig Position { get; init; } = new RotaryPositionConfig();

    /// <summary>What a block computes at each position by itself.</summary>
    public MlpConfig Mlp { get; init; } = new SwiGluMlpConfig();

    /// <summary>The normalisation, before each sub-layer and before the head unless the residual says otherwise.</summary>
    public NormConfig Norm { get; init; } = new RmsNormConfig();

    /// <summary>How sub-layers meet the residual stream.</summary>
    public ResidualConfig Residual { get; init; } = new PreNormResidualConfig();

    /// <summary>What the whole model carries from one segment of a text to the next; nothing where absent.</summary>
    public MemoryConfig? Memory { get; init; }

    /// <summary>How the model reads pictures; it reads text alone where absent.</summary>
    public VisionConfig? Vision { get; init; }

    /// <summary>
    /// The probability with which embeddings and sub-layer outputs are dropped in training; 0 suits data that is seen few times.
    /// </summary>
    public double Dropout { get; init; }

    /// <summary>Whether the output head is the token embedding itself (Press and Wolf 2017), which saves V x C parameters.</summary>
    public bool TiedHead { get; init; } = true;

    /// <summary>How parameters are drawn before the first step.</summary>
    public InitializationConfig Initialization { get; init; } = new Gpt2InitializationConfig();

    /// <summary>Whether texts are read segment by segment, each with what was carried over from those before it.</summary>
    public bool HasSegments => Memory is not null || MixersByPath().Any(mixer => mixer.Mixer.CarriesMemory);

    /// <summary>The most tokens that a text may have: those of the context or, read segment by segment, as many as there are.</summary>
    public int MostTokens => HasSegments ? int.MaxValue : ContextLength;

    /// <summary>
    /// Whether documents can stand in one row and see nothing of each other: where a mask says all about which tokens a token sees, and no
    /// part of the loss counts the tokens that are read.
    /// </summary>
    internal bool SeparatesDocuments => Position.SeparatesDocuments && Mlp is not MixtureMlpConfig && !HasSegments
        && !Layers.Hourglasses.Any() && MixersByPath().All(mixer => mixer.Mixer.SeparatesDocuments);

    /// <summary>How many memory tokens stand before the words of a segment.</summary>
    internal int PlacesBefore => Memory?.PlacesBefore ?? 0;

    /// <summary>How many memory tokens stand behind the words of a segment.</summary>
    internal int PlacesAfter => Memory?.PlacesAfter ?? 0;

    /// <summary>The places of a pass: those of context_length tokens and of the memory tokens before and behind them.</summary>
    internal int Places => ContextLength + PlacesBefore + PlacesAfter;

    /// <summary>How a block moves information between positions.</summary>
    /// <param name="layer">The block, 0 being the one after the embedding.</param>
    public AttentionConfig AttentionAt(int layer) => Mixers is null ? Attention! : Mixers[Pattern![layer % Pattern.Count]];

    /// <summary>The blocks from the embedding to the head, those of hourglasses in their places.</summary>
    public IEnumerable<BlockSpec> Blocks() => BlocksOf(Nodes());

    /// <summary>The depth of the model as it is nested: blocks, and hourglasses with parts of their own.</summary>
    public IReadOnlyList<StackNode> Nodes()
    {
        var (mixing, depth) = (ValueResidualLayers().Skip(1).ToHashSet(), 0);
        return Nodes(Layers, "model.layers", 1);

        IReadOnlyList<StackNode> Nodes(LayersConfig layers, string path, double share)
        {
            var nodes = new List<StackNode>();
            foreach (var item in layers)
            {
                if (item.Hourglass is { } hourglass)
                {
                    var own = $"{path}.{nodes.Count}";
                    nodes.Add(new HourglassSpec(
                        own, hourglass, Nodes(hourglass.Layers, $"{own}.layers", share * hourglass.GroupsPerToken), share));
                }
                for (var i = 0; i < item.Blocks; i++, depth++)
                {
                    IEnumerable<SublayerSpec> gated =
                        Vision is GatedCrossAttentionConfig cross && ReferenceEquals(layers, Layers) && cross.IsBefore(depth)
                            ? SublayerSpec.Gated(SubLayers * depth)
                            : [];
                    nodes.Add(new BlockSpec(
                        $"{path}.{nodes.Count}", depth, AttentionAt(depth), Mlp,
                        [.. gated, .. SublayersFrom(SublayerSpec.Mixer, SubLayers * depth)])
                    { MixesValues = mixing.Contains(depth), Share = share });
                }
            }
            return nodes;
        }
    }

    private static IEnumerable<BlockSpec> BlocksOf(IEnumerable<StackNode> nodes) =>
        nodes.SelectMany(node => node is HourglassSpec hourglass ? BlocksOf(hourglass.Layers) : [(BlockSpec)node]);

    /// <summary>All hourglasses, an outer one before those in it.</summary>
    internal IEnumerable<HourglassSpec> Hourglasses()
    {
        return Of(Nodes());

        static IEnumerable<HourglassSpec> Of(IEnumerable<StackNode> nodes) =>
            nodes.OfType<HourglassSpec>().SelectMany(hourglass => Of(hourglass.Layers).Prepend(hourglass));
    }

    /// <summary>Whether tokens themselves are grouped by boundaries, not groups of them alone.</summary>
    internal bool HasBoundaries => Layers.Any(item => item.Hourglass?.Boundaries is not null);

    /// <summary>The most places that a mixer counts: those of a pass, or those of the groups of hourglasses with boundaries.</summary>
    internal int MostPlaces
    {
        get
        {
            return Most(Layers, Places);

            static int Most(LayersConfig layers, int places) => layers
                .Select(item => item.Hourglass is { } inner ? Most(inner.Layers, inner.MostGroups(places)) : places).Append(places).Max();
        }
    }

    /// <summary>All parameters of a model whose vocabulary size is known, in the order in which they are drawn.</summary>
    /// <exception cref="ArgumentException">The vocabulary size is unknown.</exception>
    public IEnumerable<ParameterSpec> Parameters() => ModelParameters.Of(this);

    // The names of the norms are those of Llama, OLMo 2 and Gemma 2: post_attention_layernorm stands before the MLP, or behind the
    // attention where a norm is there.
    internal IReadOnlyList<SublayerSpec> SublayersFrom(string mixing, int first)
    {
        var (before, after) = (Residual.NormBefore, Residual.NormAfter);
        var mixer = new SublayerSpec(
            mixing, first, before ? "input_layernorm" : null, after ? "post_attention_layernorm" : null);
        if (Mlp is NoMlpConfig) return [mixer];
        var beforeMlp = after ? "pre_feedforward_layernorm" : "post_attention_layernorm";
        var feedForward = new SublayerSpec(
            SublayerSpec.FeedForward, first + 1, before ? beforeMlp : null, after ? "post_feedforward_layernorm" : null);
        return [mixer, feedForward];
    }

    /// <summary>How many sub-layers a block has: its mixer and, unless there is none, its MLP.</summary>
    public int SubLayers => Mlp is NoMlpConfig ? 1 : 2;

    /// <summary>The blocks whose values are mixed with the first one's; the first is the one that they are mixed with.</summary>
    public IEnumerable<int> ValueResidualLayers() =>
        Enumerable.Range(0, Layers.Blocks).Where(layer => AttentionAt(layer) is SoftmaxAttentionConfig { ValueResidual: true });

    /// <summary>What q k^T is multiplied by: 1 / sqrt(D), or 1 / D under muP, D being the width of a query and a key.</summary>
    public double ScoreScale(HeadedAttentionConfig attention) => Initialization.ScoreScale(attention.KeyWidthAt(Width));

    /// <summary>What logits are multiplied by: 1, or base_width / C under muP.</summary>
    public double LogitScale => Initialization.WidthScale(Width);

    /// <summary>How many components of a head rotary positions rotate, D for most mixers; null where they rotate none.</summary>
    public int? RotaryWidth => Position is RotaryPositionConfig ? PositionedMixers.FirstOrDefault()?.RotaryWidthAt(Width) : null;

    /// <summary>The ways to move information between positions by their keys in the configuration of a run.</summary>
    internal IEnumerable<(string Path, AttentionConfig Mixer)> MixersByPath() =>
        Mixers?.Select(mixer => ($"model.mixers.{mixer.Key}", mixer.Value)) ?? (Attention is null ? [] : [("model.attention", Attention)]);

    internal IEnumerable<SoftmaxAttentionConfig> SoftmaxMixers() =>
        (Mixers?.Values ?? (Attention is null ? [] : [Attention])).OfType<SoftmaxAttentionConfig>();

    /// <summary>The blocks' mixers that use the model's positions, from the embedding on.</summary>
    internal IEnumerable<HeadedAttentionConfig> PositionedMixers =>
        Enumerable.Range(0, Layers.Blocks).Select(AttentionAt).OfType<HeadedAttentionConfig>()
            .Where(mixer => mixer.ObstacleTo(Position) is null);

    /// <inheritdoc/>
    public IEnumerable<ConfigProblem> Problems()
    {
        if (Width is < 1 or > WidestStream) yield return new("width", $"found {Width}, expected 1 to {WidestStream}");
        if (ContextLength is < 1 or > LongestContext)
            yield return new("context_length", $"found {ContextLength}, expected 1 to {LongestContext}");
        if (VocabularySize is < 1 or > LargestVocabulary)
            yield return new("vocabulary_size", $"found {VocabularySize}, expected 1 to {LargestVocabulary}");
        if (Layers is [{ Blocks: < 0 }] || Layers.Blocks > MostLayers)
            yield return new("layers", $"found {Layers}, expected 0 to {MostLayers} blocks");
        foreach (var problem in Layers.ItemProblems) yield return problem with { Path = $"layers{problem.Path}" };
        if (Dropout is < 0 or >= 1) yield return new("dropout", $"found {Dropout}, expected 0 or more and less than 1");
        // what follows looks at all blocks and divisors
        if (Width > WidestStream || Layers.Blocks > MostLayers || Layers.Any(item => item.Blocks < 0)) yield break;
        var mixers = MixerProblems().ToList();
        foreach (var problem in mixers) yield return problem;
        foreach (var problem in BiasProblems()) yield return problem;
        foreach (var problem in ResidualProblems()) yield return problem;
        if (Memory is AssociativeMemoryConfig && Residual is HyperConnectionsResidualConfig)
        {
            yield return new(
                "memory.kind", "associative memory adds to one residual stream, and hyper_connections has several; take pre_norm");
        }
        if (Memory is AssociativeMemoryConfig && Layers.Hourglasses.Any())
        {
            yield return new(
                "memory.kind",
                "associative memory is written by the tokens behind a segment, and in an hourglass there are groups of them");
        }
        if (Memory is AssociativeMemoryConfig { Features: var features } && 2L * features * (Width + 1L) > int.MaxValue)
            yield return new("memory.key_width", $"{features} features of width {Width} are too many for a matrix; lower key_width or nu");
        foreach (var problem in HourglassProblems()) yield return problem;
        foreach (var problem in VisionProblems()) yield return problem;
        if (mixers.Count > 0) yield break;
        foreach (var problem in ProblemsWithinHourglasses()) yield return problem;
        foreach (var problem in ValueResidualProblems()) yield return problem;
        if (!Mlp.Problems().Any() && ParametersOfBlocks() is > MostParameters and var numbers)
        {
            yield return new("width", string.Create(CultureInfo.InvariantCulture,
                $"the blocks would have about {numbers:0.#e0} parameters, expected {MostParameters:0.#e0} at most; lower width or layers"));
        }
    }

    private IEnumerable<ConfigProblem> VisionProblems()
    {
        if (Vision is null) yield break;
        foreach (var problem in Vision.ProblemsIn(this)) yield return problem with { Path = $"vision.{problem.Path}" };
        if (HasSegments)
            yield return new("vision", "this model reads its texts segment by segment, and a picture stands in one of them; leave one out");
    }

    private IEnumerable<ConfigProblem> HourglassProblems()
    {
        foreach (var (path, hourglass) in Layers.Hourglasses)
        {
            foreach (var problem in hourglass.ProblemsAt(Width)) yield return problem with { Path = $"layers{path}.{problem.Path}" };
            if (hourglass.Boundaries is not null && Position is RotaryPositionConfig { Scaling: DynamicNtkScalingConfig })
            {
                yield return new(
                    $"layers{path}.boundaries",
                    "dynamic_ntk rotates by the length of a text, and the number of its groups is not known before; take another scaling");
            }
            if (hourglass.Boundaries is EntropyBoundariesConfig or PieceBoundariesConfig && HasSegments)
            {
                yield return new(
                    $"layers{path}.boundaries.kind",
                    $"{Kind.NameOf(hourglass.Boundaries)} boundaries are taught by whole texts, and this model reads segments; " +
                        "take learned");
            }
            if (hourglass.Boundaries is WhiteSpaceBoundariesConfig { Tokens: { } tokens } && tokens.Any(token => token >= VocabularySize))
                yield return new($"layers{path}.boundaries.tokens", $"found an id of {VocabularySize} or more, the size of the vocabulary");
        }
    }

    private IEnumerable<ConfigProblem> ProblemsWithinHourglasses()
    {
        var xl = Hourglasses().SelectMany(hourglass => BlocksOf(hourglass.Layers)).Any(block => block.Mixer.CarriesMemory);
        if (xl)
        {
            yield return new(
                "layers", "a mixer that remembers the segment before stands in an hourglass, whose groups begin anew in each segment; " +
                    "give these blocks another by mixers and pattern");
        }
        var values = ValueResidualLayers().ToHashSet();
        var stacks = Hourglasses().Select(hourglass => hourglass.Layers).Append(Nodes());
        var mixed = stacks.Count(stack => stack.OfType<BlockSpec>().Any(block => values.Contains(block.Depth)));
        if (mixed > 1)
        {
            yield return new(
                Mixers is null ? "attention.value_residual" : "mixers",
                "found outside and inside of an hourglass, where there are fewer values, which cannot be mixed; " +
                    "give value_residual to mixers of blocks outside or inside only");
        }
    }

    // As a double, which holds the number however great the dimensions are.
    private double ParametersOfBlocks() => Blocks().GroupBy(block => (block.Mixer, block.Mlp)).Sum(alike => (double)alike.Count()
        * alike.Key.Mixer.Parameters(Width).Concat(alike.Key.Mlp.Parameters(Width)).Sum(parameter => (double)parameter.Count));

    private IEnumerable<ConfigProblem> ResidualProblems()
    {
        if (Residual is not ReZeroResidualConfig) yield break;
        if (Norm != new RmsNormConfig())
            yield return new("norm", "rezero has no norms, so that no norm can be chosen; leave it out, or set {kind: rms}");
        if (Initialization is ZeroProjectionInitializationConfig)
        {
            yield return new(
                "initialization",
                "zero_projections under rezero: both factors of every sub-layer would be zero, and neither ever learn; " +
                    "take gpt2 or xavier");
        }
    }

    private IEnumerable<ConfigProblem> ValueResidualProblems()
    {
        var layers = ValueResidualLayers().ToList();
        var path = Mixers is null ? "attention" : "mixers";
        if (layers.Count == 1)
            yield return new($"{path}.value_residual", "only one block has it, so that there is nothing to mix; leave it out");
        var shapes = layers.Select(layer => (SoftmaxAttentionConfig)AttentionAt(layer))
            .Select(mixer => (mixer.KvHeads ?? mixer.Heads, mixer.HeadWidthAt(Width)));
        if (shapes.Distinct().Count() > 1)
        {
            yield return new(
                $"{path}.value_residual", "values of different shapes cannot be mixed; give these mixers the same kv_heads and head_width");
        }
    }

    // All blocks share one bias of the scores, so it is made for one number of heads (alibi, t5) or one width of heads (relative).
    private IEnumerable<ConfigProblem> BiasProblems()
    {
        if (Position is not ScoreBiasPositionConfig) yield break;
        var softmax = SoftmaxMixers().ToList();
        if (Position is RelativePositionConfig && softmax.Select(mixer => mixer.HeadWidthAt(Width)).Distinct().Count() > 1)
        {
            yield return new(
                "mixers",
                "heads of different widths; the vectors of relative positions are made for one, so give all mixers the same head_width");
        }
        if (Position is AlibiPositionConfig or T5PositionConfig && softmax.Select(mixer => mixer.Heads).Distinct().Count() > 1)
        {
            yield return new(
                "mixers", "different numbers of heads; the biases of the heads are made for one, so give all mixers as many heads");
        }
    }

    private IEnumerable<ConfigProblem> MixerProblems()
    {
        // A position that some mixers can use is one for them alone.
        var obstacles = (Mixers?.Values ?? (Attention is null ? [] : [Attention])).Select(mixer => mixer.ObstacleTo(Position)).ToArray();
        if (obstacles.Length > 0 && Array.TrueForAll(obstacles, obstacle => obstacle is not null))
            yield return new("position", obstacles[0]!);
        if (Mixers is null)
        {
            if (Pattern is not null) yield return new("pattern", "found without mixers; give mixers, whose names it repeats");
            if (Attention is null) yield return new("attention", "missing; expected attention for all blocks, or mixers with a pattern");
            foreach (var problem in Attention?.ProblemsAt(Width, Position) ?? [])
                yield return problem with { Path = $"attention.{problem.Path}" };
            yield break;
        }
        if (Attention is not null) yield return new("attention", "found beside mixers; give one of the two");
        if (Pattern is null or []) yield return new("pattern", $"missing; expected a list of {string.Join(", ", Mixers.Keys)}");
        foreach (var name in (Pattern ?? []).Where(name => !Mixers.ContainsKey(name)).Distinct())
            yield return new("pattern", Spelling.NotOneOf(name, [.. Mixers.Keys]));
        foreach (var name in Mixers.Keys.Except(Pattern ?? []))
            yield return new($"mixers.{name}", "no block has it; name it in pattern or leave it out");
        var rotated = Mixers.Values.OfType<HeadedAttentionConfig>().Where(mixer => mixer.ObstacleTo(Position) is null);
        if (Position is RotaryPositionConfig && rotated.Select(mixer => mixer.RotaryWidthAt(Width)).Distinct().Count() > 1)
        {
            var keys = string.Join(" and ", rotated.Select(mixer => mixer.RotaryWidthKey).Distinct());
            yield return new("mixers", $"heads of different widths; rotary positions are made for one, so give all mixers the same {keys}");
        }
        foreach (var (name, mixer) in Mixers)
            foreach (var problem in mixer.ProblemsAt(Width, Position)) yield return problem with { Path = $"mixers.{name}.{problem.Path}" };
    }
}
