using System.Text.Json.Serialization;

namespace Transformer.Configuration;

/// <summary>Which earlier tokens a query of softmax attention sees.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(FullWindowConfig), "full")]
public abstract record WindowConfig;

/// <summary>All of them.</summary>
public sealed record FullWindowConfig : WindowConfig;
