using System.Text.Json;
using System.Text.Json.Nodes;
using Transformer.Configuration;
using Transformer.Files;
using Transformer.Runs;

namespace Transformer.Comparison;

/// <summary>The designs of an ablation, made equal, with what they take and what makes their comparison unfair.</summary>
/// <param name="Request">What was asked.</param>
/// <param name="Designs">The designs, matched; the first is the reference.</param>
/// <param name="Costs">What each design takes.</param>
/// <param name="Unfair">For each design what makes its comparison with the reference unfair.</param>
/// <param name="Measure">What is compared.</param>
/// <param name="Checksums">Of each design's data.</param>
public sealed record AblationPlan(
    AblationRequest Request, IReadOnlyList<Design> Designs, IReadOnlyList<DesignCost> Costs,
    IReadOnlyList<IReadOnlyList<Unfairness>> Unfair, Measure Measure, IReadOnlyList<string> Checksums)
{
    private const string FileName = "ablation.json", DesignFolder = "designs";

    /// <summary>Makes the designs of a request, and makes them equal.</summary>
    /// <param name="request">What to compare.</param>
    /// <param name="cancellation">Ends the measurement of times.</param>
    /// <exception cref="InputException">A design is wrong, or they cannot be compared.</exception>
    public static AblationPlan Of(AblationRequest request, CancellationToken cancellation = default)
    {
        request.Check();
        using var data = new DataSets();
        var designs = Unmatched(request).Select(design => design.Resolve(data.Of(design.Config))).ToList();
        var matching = new Matching(
            request.Match, [.. request.Variations.Select(variation => variation.Key)],
            (first, second) => StepTime.Ratio((first, data.Of(first)), (second, data.Of(second)), request.Threads, cancellation));
        return Of(request, designs.ConvertAll(design => matching.Match(design, designs[0].Config, data)), data);
    }

    /// <summary>Whether a folder holds a plan.</summary>
    internal static bool IsIn(string folder) => File.Exists(Path.Combine(folder, FileName));

    /// <summary>The plan that a folder holds.</summary>
    /// <exception cref="InputException">It is not that of the request, or its data have changed.</exception>
    internal static AblationPlan Read(string folder, AblationRequest request)
    {
        var (found, asked) = (JsonNode.Parse(WholeFile.Text(Path.Combine(folder, FileName)))!, Asked(request));
        if (!JsonNode.DeepEquals(found["request"], asked))
            throw new InputException($"{folder}: another ablation is there ({Difference(found["request"]!, asked)}). " +
                "Choose another folder with --out, or repeat what was asked there.");
        using var data = new DataSets();
        var plan = Of(request, Read(folder, found["designs"]!.AsArray()), data);
        if (!plan.Checksums.SequenceEqual(found["data"].Deserialize<string[]>()!))
            throw new InputException($"{folder}: the data have changed since the ablation began. Choose another folder with --out.");
        return plan;
    }

    /// <summary>Writes the plan and its designs into a folder.</summary>
    /// <exception cref="InputException">The folder cannot be written.</exception>
    internal void Write(string folder)
    {
        Directory.CreateDirectory(Path.Combine(folder, DesignFolder));
        foreach (var design in Designs) DurableFile.WriteText(FileOf(folder, design.Folder), ConfigFile.ToYaml(design.Config));
        DurableFile.WriteJson(Path.Combine(folder, FileName), new JsonObject
        {
            ["request"] = Asked(Request),
            ["designs"] = new JsonArray([.. Designs.Select(design => new JsonObject
            {
                ["name"] = design.Name,
                ["folder"] = design.Folder,
                ["settings"] = ConfigJson.ToJson(design.Settings),
                ["adjustments"] = ConfigJson.ToJson(design.Adjustments),
            })]),
            ["data"] = ConfigJson.ToJson(Checksums),
        });
    }

    /// <summary>The threads of the runs of the ablation that a folder holds; null where it holds none.</summary>
    public static int? ThreadsIn(string folder) => IsIn(folder)
        ? JsonNode.Parse(WholeFile.Text(Path.Combine(folder, FileName)))!["request"]!["threads"]!.GetValue<int>() : null;

    /// <summary>The coordinate check of each design.</summary>
    /// <param name="cancellation">Ends it between two designs.</param>
    internal IReadOnlyList<CoordinateCheck> Coordinates(CancellationToken cancellation)
    {
        using var data = new DataSets();
        return [.. Designs.Select(design =>
        {
            cancellation.ThrowIfCancellationRequested();
            return CoordinateCheck.Of(design.Config, data.Of(design.Config));
        })];
    }

    private static IReadOnlyList<Design> Unmatched(AblationRequest request) =>
        Design.Of(request.Source, request.Overrides, request.Variations);

    // The designs are matched and resolved.
    private static AblationPlan Of(AblationRequest request, IReadOnlyList<Design> designs, DataSets data)
    {
        var costs = designs.Select(design => DesignCost.Of(design.Config, data.Of(design.Config))).ToList();
        var measure = MeasureOf(request, designs);
        var unfair = designs.Zip(costs, (design, cost) => Fairness.Between(
            (designs[0].Config, costs[0]), (design.Config, cost), request, measure)).ToList();
        RequireComparable(designs, unfair);
        if (request.Mode == AblationMode.Scaling)
            foreach (var group in designs.Zip(costs).GroupBy(each => each.First.NameWithout(AblationRequest.SizeKeys)))
                ScalingFit.RequireSizes([
                    .. group.Select(each => ((double)each.Second.Parameters, each.Second.TokensOf(each.First.Config)))]);
        RequireSweep(request.Sweep, designs);
        return new(
            request, designs, costs, unfair, measure, [.. designs.Select(design => data.Of(design.Config).Checksum)]);
    }

    private static Measure MeasureOf(AblationRequest request, IReadOnlyList<Design> designs)
    {
        var isTask = designs[0].Config.Data.Task is not null;
        if (request.Measure == Measure.BitsPerByte && isTask)
            throw new InputException("--measure bits_per_byte: the rows of a task have no bytes; take loss or accuracy");
        if (request.Measure == Measure.Accuracy && request.Mode == AblationMode.Scaling)
            throw new InputException("--measure accuracy: a scaling law is one of losses; take loss or bits_per_byte");
        return request.Measure ?? (isTask && request.Mode != AblationMode.Scaling ? Measure.Accuracy
            : designs.Any(design => design.Config.Data.Tokenizer != designs[0].Config.Data.Tokenizer) ? Measure.BitsPerByte
            : Measure.Loss);
    }

    private static void RequireComparable(IReadOnlyList<Design> designs, IReadOnlyList<IReadOnlyList<Unfairness>> unfair)
    {
        var refused = designs.Zip(unfair, (design, found) => found.Where(each => each.IsRefused)
            .Select(each => $"{design.Name}: {each}")).SelectMany(lines => lines).ToList();
        if (refused.Count > 0)
            throw new InputException($"These designs cannot be compared with {designs[0].Name}:\n  {string.Join("\n  ", refused)}");
    }

    // A key that is none, or does not take the values, is found before anything is trained.
    private static void RequireSweep(Sweep? sweep, IReadOnlyList<Design> designs)
    {
        if (sweep is null) return;
        foreach (var design in designs)
            foreach (var value in sweep.Values) _ = new AblationCell(design, design.Config.Training.Seed, sweep, value).Config();
    }

    private static List<Design> Read(string folder, JsonArray designs) => [.. designs.Select(design => new Design(
        design!["name"]!.GetValue<string>(), design["folder"]!.GetValue<string>(),
        design["settings"].Deserialize<string[]>()!,
        ConfigFile.Load(FileOf(folder, design["folder"]!.GetValue<string>()), []),
        design["adjustments"].Deserialize<string[]>()!))];

    private static string FileOf(string folder, string design) => Path.Combine(folder, DesignFolder, $"{design}.yaml");

    // What decides the runs: the request, and the designs before they are matched, so that a file that was edited meanwhile is noticed.
    private static JsonNode Asked(AblationRequest request)
    {
        var asked = JsonSerializer.SerializeToNode(request, ConfigJson.Options)!.AsObject();
        asked["configurations"] = new JsonArray([.. Unmatched(request).Select(design => ConfigJson.ToJson(design.Config))]);
        return JsonNode.Parse(asked.ToJsonString())!;
    }

    private static string Difference(JsonNode found, JsonNode asked) => string.Join(", ", found.AsObject()
        .Where(entry => !JsonNode.DeepEquals(entry.Value, asked[entry.Key]))
        .Select(entry => entry.Key == "configurations" ? "other configurations" : $"{entry.Key}: {entry.Value?.ToJsonString() ?? "none"}"));
}
