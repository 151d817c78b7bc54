using System.Collections.Concurrent;
using System.Reflection;
using System.Text.Json.Serialization.Metadata;
using System.Text.RegularExpressions;
using Transformer.Configuration;
using static TorchSharp.torch;

namespace Transformer.Layers;

/// <summary>
/// Mixers, MLPs and norms from outside of the library. A configuration record with a <see cref="KindAttribute"/> names its word and its
/// layer; once it is added, configurations may use the word as they use the library's own. What computes without libtorch (the CPU's
/// kernels, ONNX graphs, GGUF) and ranks that split layers refuse such a kind by name.
/// </summary>
public static partial class Kinds
{
    private static readonly ConcurrentDictionary<Type, ConstructorInfo> Layers = [];
    private static volatile IReadOnlyList<AddedAssembly> loaded = [];
    private static readonly Lock Lock = new();

    /// <summary>The assemblies that <see cref="Load"/> has added, in their order.</summary>
    public static IReadOnlyList<AddedAssembly> Assemblies => loaded;

    /// <summary>Adds one kind.</summary>
    /// <typeparam name="TConfig">A record with a <see cref="KindAttribute"/>.</typeparam>
    /// <exception cref="InputException">The record or its layer is not what a kind needs, or the word is taken.</exception>
    public static void Add<TConfig>() => Add(typeof(TConfig));

    /// <summary>Adds all kinds of an assembly.</summary>
    /// <param name="assembly">Its records with a <see cref="KindAttribute"/>.</param>
    /// <returns>Their words.</returns>
    /// <exception cref="InputException">There is none, or one is not what a kind needs.</exception>
    public static IReadOnlyList<string> Add(Assembly assembly)
    {
        Type[] records = [.. assembly.GetTypes().Where(type => type.GetCustomAttribute<KindAttribute>() is not null)];
        if (records.Length == 0)
            throw new InputException($"{assembly.GetName().Name}: adds no kind; no record has [Kind(\"name\", typeof(Layer))]");
        foreach (var record in records) Add(record);
        return [.. records.Select(Kind.NameOf)];
    }

    /// <summary>Adds all kinds of an assembly's file.</summary>
    /// <param name="path">A .dll that was built against this library.</param>
    /// <returns>Their words.</returns>
    /// <exception cref="InputException">The file is no such assembly.</exception>
    public static IReadOnlyList<string> Load(string path)
    {
        if (!File.Exists(path)) throw new InputException($"--kinds {path}: no such file; expected the .dll of your kinds");
        try
        {
            var assembly = Assembly.LoadFrom(Path.GetFullPath(path));
            var words = Add(assembly);
            var added = AddedAssembly.Of(assembly, path);
            lock (Lock)
                if (!loaded.Contains(added)) loaded = [.. loaded, added];
            return words;
        }
        catch (Exception error) when (error is BadImageFormatException or IOException or TypeLoadException or ReflectionTypeLoadException)
        {
            var version = typeof(Kinds).Assembly.GetName().Version;
            throw new InputException($"--kinds {path}: not an assembly built against Transformer {version}: {error.Message}", error);
        }
    }

    /// <summary>The layer of a record that has been added.</summary>
    /// <param name="path">The part's key, such as <c>model.mlp</c>, for messages.</param>
    /// <param name="config">The record.</param>
    /// <param name="width">C, the width of what the layer reads.</param>
    /// <exception cref="InputException">The record has not been added.</exception>
    internal static TLayer Create<TLayer>(string path, object config, int width) =>
        Layers.TryGetValue(config.GetType(), out var constructor)
            ? (TLayer)constructor.Invoke(BindingFlags.DoNotWrapExceptions, binder: null, [config, width], culture: null)
            : throw Kind.Unknown(path, config, "layer");

    private static void Add(Type record)
    {
        var kind = record.GetCustomAttribute<KindAttribute>()
            ?? throw new InputException($"{record.Name}: expected [Kind(\"name\", typeof(Layer))] on the record");
        var family = AddedKinds.FamilyOf(record) ?? throw Wrong(
            $"expected a record that derives from {string.Join(", ", AddedKinds.Families.Select(known => known.Name))}");
        if (record.IsAbstract || kind.Layer.IsAbstract) throw Wrong("the record or its layer is abstract");
        if (record.GetConstructor([]) is null)
            throw Wrong("the record has no constructor without parameters; make its keys properties: public int Taps { get; init; } = 4");
        if (!Word().IsMatch(kind.Name)) throw Wrong("expected lower case letters, digits and underscores as its name");
        var needed = LayerOf(family);
        if (!needed.IsAssignableFrom(kind.Layer)) throw Wrong($"{kind.Layer.Name} is not derived from {Name(needed)}");
        var constructor = kind.Layer.GetConstructor([record, typeof(int)])
            ?? throw Wrong($"{kind.Layer.Name} has no public constructor ({record.Name} config, int width)");
        lock (Lock)
        {
            if (Layers.ContainsKey(record)) return;
            if (Kind.NamesOf(family).Contains(kind.Name)) throw Wrong($"{family.Name} already has a kind of this name; take another");
            Layers[record] = constructor;
            AddedKinds.Add(record, kind.Name, new DefaultJsonTypeInfoResolver());
        }

        InputException Wrong(string what) => new($"kind {kind.Name} ({record.Name}): {what}");
    }

    private static Type LayerOf(Type family) =>
        family == typeof(AttentionConfig) ? typeof(TokenMixer)
        : family == typeof(MlpConfig) ? typeof(Mlp.Mlp)
        : typeof(nn.Module<Tensor, Tensor>);

    private static string Name(Type type) => type.IsGenericType ? "nn.Module<Tensor, Tensor>" : type.Name;

    [GeneratedRegex(@"^[a-z][a-z0-9_]*\z")]
    private static partial Regex Word();
}
