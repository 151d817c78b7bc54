namespace Transformer.Configuration;

/// <summary>
/// Adds a kind from outside of the library: it stands on the configuration record and names the <c>kind</c> and the layer, as in
/// <c>[Kind("reglu", typeof(ReGlu))] public sealed record ReGluConfig : MlpConfig;</c>. The layer is made by its constructor that takes the
/// record and the width of what it reads.
/// </summary>
/// <param name="name">The word that configurations write: lower case letters, digits and underscores.</param>
/// <param name="layer">The layer's class.</param>
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class KindAttribute(string name, Type layer) : Attribute
{
    /// <summary>The word that configurations write.</summary>
    public string Name => name;

    /// <summary>The layer's class.</summary>
    public Type Layer => layer;
}
