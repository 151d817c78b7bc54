using System.IO.Enumeration;
using TorchSharp.Modules;
using Transformer.Configuration;
using Transformer.Distributed;
using Transformer.Model;
using Transformer.Runs;

namespace Transformer.Training;

/// <summary>
/// Which of a model's parameters are trained, and the range of each in the <see cref="ParameterSpace"/>: block by block, in a
/// block the matrices first, so that those with weight decay are contiguous. Every view begins on a 64-byte boundary, and every
/// bucket is padded to a multiple of the ranks.
/// </summary>
internal sealed class ParameterLayout
{
    private const int Alignment = 16;    // floats: every view and every slice begins on a 64-byte boundary

    /// <summary>Lays out the parameters of a model.</summary>
    /// <param name="model">The model; its frozen parameters no longer require a gradient.</param>
    /// <param name="rules">Learning rates and freezing by name; of several that fit a parameter the first holds.</param>
    /// <param name="ranks">N, among which every bucket is divided.</param>
    /// <exception cref="InputException">A rule fits no parameter, or all are frozen.</exception>
    public ParameterLayout(TransformerModel model, IReadOnlyList<ParameterRule> rules, int ranks)
    {
        var values = model.named_parameters().ToDictionary(parameter => parameter.name, parameter => parameter.parameter);
        var named = model.ParameterSpecs.Values.Select(spec => new Ruled(
            spec, values[spec.Name], rules.FirstOrDefault(rule => Matches(rule.Pattern, spec.Name)))).ToList();
        foreach (var rule in rules)
        {
            if (named.Any(parameter => Matches(rule.Pattern, parameter.Name))) continue;
            var first = string.Join(", ", named.Take(5).Select(parameter => parameter.Name));
            throw new InputException($"training.parameters: no parameter is called {rule.Pattern}. The first ones are {first}.");
        }
        foreach (var parameter in named.Where(parameter => parameter.IsFrozen)) parameter.Value.requires_grad_(false);

        var trained = named.Where(parameter => !parameter.IsFrozen)
            .GroupBy(parameter => parameter.Spec.Block?.Path ?? parameter.Name)
            .SelectMany(block => block.OrderBy(parameter => parameter.Spec.Decays ? 0 : 1)).ToList();
        if (trained.Count == 0) throw new InputException("training.parameters: every parameter is frozen, so there is nothing to train.");

        var (buckets, parameters, share) = (new List<Bucket>(), new List<ParameterView>(), (long)Alignment * ranks);
        foreach (var group in Neighbours(trained))
        {
            var (first, begin, offset) = (parameters.Count, Size, Size);
            foreach (var (spec, value, rule) in group)
            {
                var length = RoundedUp(value.numel(), Alignment);
                parameters.Add(new ParameterView(
                    spec, value, value.shape, offset, length, rule?.LearningRateScale ?? 1, WidthScale(model.Config, spec)));
                offset += length;
            }
            Size += RoundedUp(offset - begin, share);
            buckets.Add(new Bucket(group[0].Spec.Block, begin, Size - begin, parameters[first..]));
        }
        (Buckets, Parameters) = (buckets, parameters);
    }

    /// <summary>The parameters of each block, and those before and after the blocks.</summary>
    public IReadOnlyList<Bucket> Buckets { get; }

    /// <summary>All of them, in the order of the space.</summary>
    public IReadOnlyList<ParameterView> Parameters { get; }

    /// <summary>P, the length of the space: all parameters with the padding between them.</summary>
    public long Size { get; }

    private readonly record struct Ruled(ParameterSpec Spec, Parameter Value, ParameterRule? Rule)
    {
        public string Name => Spec.Name;

        public bool IsFrozen => Rule is { Frozen: true };
    }

    // Whether a name fits a pattern in which * stands for any run of characters.
    private static bool Matches(string pattern, string name) => FileSystemName.MatchesSimpleExpression(pattern, name, ignoreCase: false);

    // Adjacent parameters of one block, or of none.
    private static IEnumerable<List<Ruled>> Neighbours(List<Ruled> parameters)
    {
        for (var (first, end) = (0, 1); end <= parameters.Count; end++)
        {
            if (end < parameters.Count && parameters[end].Spec.Block?.Path == parameters[first].Spec.Block?.Path) continue;
            yield return parameters[first..end];
            first = end;
        }
    }

    private static long RoundedUp(long length, long share) => (length + share - 1) / share * share;

    // Adam's steps do not shrink with the width, so under muP the rate of hidden matrices does. Muon's steps do so by themselves.
    private static double WidthScale(ModelConfig config, ParameterSpec spec) =>
        spec.IsHidden ? config.Initialization.WidthScale(config.Width) : 1;
}
