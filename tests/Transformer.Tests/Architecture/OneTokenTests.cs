using System.Data;
using System.Globalization;
using System.Text.RegularExpressions;
using TorchSharp;
using Transformer.Configuration;
using Transformer.Layers.Attention;
using Transformer.Model;
using Transformer.Native;
using Transformer.Runs;
using static TorchSharp.torch;

namespace Transformer.Tests.Architecture;

/// <summary>The numbers of docs/one-token.md are those of a model with the weights that the page gives.</summary>
public sealed partial class OneTokenTests
{
    private const string Run = "data: {path: builtin:names}\n" +
        "training: {steps: 1, batch_size: 1, optimizer: {kind: adamw, learning_rate: 1e-3}}";

    private static readonly string Text = File.ReadAllText(Path.Combine(SourceTree.Root, "docs", "one-token.md"));
    private static readonly IReadOnlyList<PageTable> Tables = PageTable.Of(Text);
    private static readonly string[] Words = ["token", "key", "query", "next", "matrix", "position", "id"];

    [Fact]
    public void Every_number_in_a_table_is_the_model_s()
    {
        var computed = Compute();
        foreach (var (name, cells) in Tables.Where(table => !IsInput(table)).SelectMany(table => table.Columns))
        {
            if (Words.Contains(name)) continue;
            Assert.True(computed.TryGetValue(name, out var rows), $"no step is called {name}");
            Assert.Equal(rows.Length, cells.Count);
            foreach (var (row, cell) in rows.Zip(cells))
            {
                var numbers = Number().Matches(cell).Select(number => number.Value).ToArray();
                Assert.Equal(row.Length, numbers.Length);
                foreach (var (value, shown) in row.Zip(numbers)) AssertRounds(value, shown, $"{name}: {cell}");
            }
        }
    }

    [Fact]
    public void Every_equation_holds()
    {
        var equations = Equation().Matches(Text);
        Assert.True(equations.Count > 20, $"only {equations.Count} equations were found");
        foreach (Match equation in equations)
            AssertRounds(Evaluate(equation.Groups["left"].Value), equation.Groups["right"].Value, equation.Value);
    }

    [Fact]
    public void The_page_counts_the_weights_that_it_gives()
    {
        var weights = Tables.Where(IsInput).SelectMany(table => table.Columns).Where(column => !Words.Contains(column.Name))
            .SelectMany(column => column.Cells).Sum(cell => Number().Count(cell));
        Assert.All(Count().Matches(Text), count => Assert.Equal(weights, int.Parse(count.Groups[1].Value, CultureInfo.InvariantCulture)));
    }

    // Three digits behind the point, without zeros at their end.
    private static void AssertRounds(double value, string shown, string where) =>
        Assert.True(Math.Abs(value - Parse(shown)) <= 0.0005 + 1e-5, $"{where}: computed {value}, found {shown}");

    private static bool IsInput(PageTable table) => table.Columns[0].Name == "matrix" || table.Columns[^1].Name == "its vector";

    private static Dictionary<string, double[][]> Compute()
    {
        using var scope = NewDisposeScope();
        using var without = no_grad();
        using var model = new TransformerModel(ConfigFile.Parse($"{Yaml().Match(Text).Groups[1].Value}{Run}", "one-token.md", []).Model);
        Load(model);
        var (inputs, outputs) = Watch(model, scope);
        long[] ids = [0, 1, 2, 2], targets = [1, 2, 2, 3];
        var logits = model.call(tensor(ids).unsqueeze(0), null)[0];                                    // [T, V]
        var losses = targets.Select((target, t) =>
            LanguageModelLoss.CrossEntropy(logits.narrow(0, t, 1).unsqueeze(0), tensor(new[] { target })));
        var mean = LanguageModelLoss.CrossEntropy(logits.unsqueeze(0), tensor(targets).unsqueeze(0));

        const string attention = "model.layers.0.self_attn.", mlp = "model.layers.0.mlp.";
        var (q, k) = (outputs[attention + "q_proj"], outputs[attention + "k_proj"]);                   // 2 x [T, D]
        var scale = model.Config.ScoreScale((SoftmaxAttentionConfig)model.Config.Attention!);
        var match = matmul(q[^1..], k.t())[0];                                                         // [T], of the last query
        var weights = SoftmaxAttention.Explicit(
            q.view(1, 1, -1, 2), k.view(1, 1, -1, 2), eye(ids.Length).view(1, 1, ids.Length, -1), scale,
            SoftmaxAttention.CausalMask(ids.Length, CPU))[0, 0];                                       // [T, T]
        return new Dictionary<string, Tensor>
        {
            ["embedding"] = outputs["model.embed_tokens"],
            ["+ position"] = outputs["model.embed_positions"],
            ["= x"] = inputs["model.layers.0.input_layernorm"],
            ["x"] = inputs["model.layers.0.input_layernorm"],
            ["norm(x)"] = outputs["model.layers.0.input_layernorm"],
            ["q"] = q,
            ["k"] = k,
            ["v"] = outputs[attention + "v_proj"],
            ["q k of the last query"] = match,
            ["/ √2"] = match * scale,
            ["exp"] = (match * scale).exp(),
            ["weight"] = weights[-1],
            ["weights of h, e, l, l"] = weights,
            ["z"] = inputs[attention + "o_proj"],
            ["output of attention"] = outputs[attention + "o_proj"],
            ["x + attention"] = inputs["model.layers.0.post_attention_layernorm"],
            ["norm of it"] = outputs["model.layers.0.post_attention_layernorm"],
            ["up"] = outputs[mlp + "up_proj"],
            ["relu(up)"] = inputs[mlp + "down_proj"],
            ["output of the MLP"] = outputs[mlp + "down_proj"],
            ["x after the block"] = inputs["model.norm"],
            ["last norm"] = outputs["model.norm"],
            ["logits of h, e, l, o"] = logits,
            ["probabilities of h, e, l, o"] = logits.softmax(-1),
            ["loss"] = stack(losses),
            ["mean loss"] = mean.view(1),
            ["perplexity"] = mean.exp().view(1),
        }.ToDictionary(step => step.Key, step => Rows(step.Value));
    }

    // The weights as the page's first tables give them.
    private static void Load(TransformerModel model)
    {
        foreach (var table in Tables.Where(IsInput))
        {
            if (table.Columns[0].Name == "token") Set("model.embed_tokens.weight", table.Columns[^1].Cells);
            else if (table.Columns[0].Name == "position") Set("model.embed_positions.weight", table.Columns[^1].Cells);
            else
            {
                for (var row = 0; row < table.Columns[0].Cells.Count; row++)
                {
                    var name = table.Columns[0].Cells[row];
                    var parent = name is "up_proj" or "down_proj" ? "mlp" : "self_attn";
                    Set($"model.layers.0.{parent}.{name}.weight", [table.Columns[1].Cells[row], table.Columns[2].Cells[row]]);
                }
            }
        }

        void Set(string name, IReadOnlyList<string> rows) => model.Weight(name).copy_(stack(
            rows.Select(row => tensor(Number().Matches(row).Select(number => (float)Parse(number.Value)).ToArray()))));
    }

    // What goes into and comes out of every layer of one input: [T, n].
    private static (Dictionary<string, Tensor> Inputs, Dictionary<string, Tensor> Outputs) Watch(
        TransformerModel model, DisposeScope scope)
    {
        var (inputs, outputs) = (new Dictionary<string, Tensor>(), new Dictionary<string, Tensor>());
        foreach (var (name, module) in model.named_modules())
        {
            if (module is not nn.Module<Tensor, Tensor> layer) continue;
            layer.register_forward_hook((_, input, output) =>
            {
                inputs[name] = Kept(input);
                outputs[name] = Kept(output);
                return output;
            });
        }
        return (inputs, outputs);

        Tensor Kept(Tensor x)
        {
            var copy = x.detach().view(-1, x.shape[^1]).clone();
            scope.Attach(copy);
            return copy;
        }
    }

    private static double[][] Rows(Tensor numbers)
    {
        var width = numbers.dim() == 1 ? 1 : (int)numbers.shape[^1];
        return [.. numbers.ToHost().Chunk(width)];
    }

    // Functions from the inside out, and what is left by the rules of arithmetic.
    private static double Evaluate(string expression)
    {
        while (Function().Match(expression) is { Success: true } call)
        {
            var argument = Evaluate(call.Groups[2].Value);
            var value = call.Groups[1].Value switch { "exp" => Math.Exp(argument), "ln" => Math.Log(argument), _ => Math.Sqrt(argument) };
            expression = expression.Replace(call.Value, $"({value.ToString("F9", CultureInfo.InvariantCulture)})");
        }
        using var table = new DataTable { Locale = CultureInfo.InvariantCulture };
        return Convert.ToDouble(table.Compute(expression.Replace("-(", "-1 * ("), ""), CultureInfo.InvariantCulture);
    }

    private static double Parse(string number) => double.Parse(number, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"-?\d+(\.\d+)?")]
    private static partial Regex Number();

    [GeneratedRegex(@"`(?<left>(?:[-\d.+*/() ]|exp|ln|sqrt)+) = (?<right>-?[\d.]+)`")]
    private static partial Regex Equation();

    [GeneratedRegex(@"(\d+) numbers (?:beside|would)")]
    private static partial Regex Count();

    [GeneratedRegex(@"(exp|ln|sqrt)\(([^()]*)\)")]
    private static partial Regex Function();

    [GeneratedRegex(@"```yaml\n(model:.*?)```", RegexOptions.Singleline)]
    private static partial Regex Yaml();
}
