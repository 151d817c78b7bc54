namespace Transformer.Comparison;

/// <summary>What an ablation looks for.</summary>
public enum AblationMode
{
    /// <summary>Whether designs differ from the first one.</summary>
    Compare,

    /// <summary>How the loss falls with parameters and tokens.</summary>
    Scaling,

    /// <summary>How the best learning rate depends on the width.</summary>
    RateTransfer,
}
