using Transformer.Layers;
using Transformer.Layers.Attention;
using Transformer.Layers.Memory;
using Transformer.Model.Vision;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Model;

// B batch · T tokens · H heads

/// <summary>What a pass is given beside the embeddings, and what it collects.</summary>
internal sealed record PassRequest
{
    /// <summary>The tokens: [B, T]; below 0 what is no token. Null where embeddings are not those of tokens.</summary>
    public Tensor? Ids { get; init; }

    /// <summary>The pictures of the placeholders; null where there are none.</summary>
    public PictureVectors? Pictures { get; init; }

    /// <summary>The state that the tokens continue; null for a pass over whole sequences.</summary>
    public TorchSequenceState? State { get; init; }

    /// <summary>For each row how many of its T tokens are text, from the left; all where null.</summary>
    public IReadOnlyList<int>? NewTokens { get; init; }

    /// <summary>Which document each token belongs to: [B, T]; null where every row is one text.</summary>
    public IReadOnlyList<int>? Documents { get; init; }

    /// <summary>What is remembered of the segments before this one; null in a model without memory.</summary>
    public SegmentMemory? MemoryBefore { get; init; }

    /// <summary>Collects what the next segment remembers; null where there is none.</summary>
    public SegmentMemory? MemoryAfter { get; init; }

    /// <summary>Activation checkpointing; null where blocks keep all activations.</summary>
    public Recomputation? Recomputation { get; init; }

    /// <summary>Collects what layers add to the loss; null outside of training.</summary>
    public AuxiliaryLosses? AuxiliaryLosses { get; init; }

    /// <summary>Collects the spans of each learned window: [B or 1, H, T or 1]. Null where they are not needed.</summary>
    public IDictionary<LearnedSpan, Tensor>? LearnedSpans { get; init; }

    /// <summary>Collects where groups of tokens end. Null where that is not needed.</summary>
    public IList<TokenBoundaries>? Boundaries { get; init; }

    /// <summary>Collects the weights of attention: [B, H, T, S] of each module. Null where they are not needed.</summary>
    public IDictionary<nn.Module, Tensor>? AttentionWeights { get; init; }
}
