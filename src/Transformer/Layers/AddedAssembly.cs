using System.Reflection;
using System.Security.Cryptography;

namespace Transformer.Layers;

/// <summary>An assembly from which kinds were added, as the environment of a run records it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Version">Its version.</param>
/// <param name="Sha256">The hash of its file, which changes with every change of its code.</param>
public sealed record AddedAssembly(string Name, string Version, string Sha256)
{
    internal static AddedAssembly Of(Assembly assembly, string path)
    {
        var name = assembly.GetName();
        return new(name.Name!, $"{name.Version}", Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(path))));
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Name} {Version} ({Sha256[..12]})";
}
