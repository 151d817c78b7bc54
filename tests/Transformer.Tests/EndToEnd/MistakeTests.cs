using System.Text.RegularExpressions;
using Transformer.Cli;
using Transformer.Tests.Architecture;

namespace Transformer.Tests.EndToEnd;

/// <summary>
/// What people type in their first hour and do not mean. Each is refused with a message, and every command that the message names succeeds
/// when it is pasted.
/// </summary>
public sealed partial class MistakeTests(MistakeTests.Place here) : IClassFixture<MistakeTests.Place>
{
    [Theory]
    // words that are not there
    [InlineData("trian", "trian: unknown verb; did you mean train?")]
    [InlineData("train HERE/tiny.yaml --step 5", "--step: unknown option")]
    [InlineData("train shakespare-char", "did you mean the recipe shakespeare-char?")]
    [InlineData("train HERE/tiny.yaml --set training.stpes=5", "training.stpes: unknown key; did you mean training.steps?")]
    [InlineData("train HERE/tiny.yaml --set steps=5", "steps")]
    [InlineData("train HERE/tiny.yaml --set training.steps", "training.steps")]
    [InlineData("recipes shakespare-char", "did you mean shakespeare-char?")]
    [InlineData("config show nmaes", "did you mean the recipe names?")]
    // one thing for another
    [InlineData("train HERE/my.txt", "looks like a text")]
    [InlineData("config show HERE/my.txt", "looks like a text")]
    [InlineData("train HERE/texts", "a folder with texts")]
    [InlineData("train HERE/tokens", "a folder of token files")]
    [InlineData("train HERE/run", "a run's folder")]
    [InlineData("train HERE/weights", "a folder of weights")]
    [InlineData("train HERE/model.gguf", "weights, expected a recipe")]
    [InlineData("train HERE/empty.yaml", "empty.yaml")]
    [InlineData("train HERE/none.yaml", "no such file or recipe")]
    [InlineData("train HERE/tiny.yaml --set data.path=HERE/texts", "texts: found a folder")]
    [InlineData("train HERE/tiny.yaml --set data.path=HERE/empty.yaml", "the file is empty")]
    [InlineData("train HERE/tiny.yaml --out HERE/run", "a run exists there already")]
    [InlineData("train --resume HERE/my.txt", "no run there")]
    [InlineData("train --resume HERE/none", "no run there")]
    [InlineData("train --resume HERE/run/checkpoints/step-2", "no run there")]
    [InlineData("train --resume HERE/weights", "no run there")]
    [InlineData("train --resume HERE/run --set model.width=32", "model.width")]
    [InlineData("train --resume HERE/run --set training.gradient_clip=0.5", "training.gradient_clip")]
    [InlineData("train --resume HERE/run --set training.gradient_clip=null", "training.gradient_clip")]
    [InlineData("train HERE/tiny.yaml --init-from HERE/my.txt", "my.txt")]
    [InlineData("train HERE/tiny.yaml --init-from HERE/run --set model.width=32", "fit")]
    [InlineData("generate HERE/my.txt --prompt a", "my.txt")]
    [InlineData("generate HERE/none --prompt a", "no such file or folder")]
    [InlineData("generate HERE/run --prompt ü", "ü")]
    [InlineData("evaluate HERE/run --data HERE/texts", "texts")]
    [InlineData("evaluate HERE/weights", "its validation data are not known")]
    [InlineData("export HERE/run --format gguf --out HERE/model.gguf", "model.gguf")]
    [InlineData("report HERE/none", "no run there")]
    [InlineData("report HERE/run HERE/my.txt", "my.txt: no run there")]
    [InlineData("report HERE/run/checkpoints/step-2 --out HERE/page.html", "It belongs to a run")]
    [InlineData("report HERE/run --out HERE/texts", "texts: cannot be written")]
    [InlineData("report '' --out HERE/page.html", "found nothing, expected DIR.")]
    [InlineData("import HERE/none --out HERE/new", "none")]
    [InlineData("import HERE/my.txt --out HERE/new", "my.txt")]
    [InlineData("init HERE/texts", "texts")]
    [InlineData("init HERE/empty.yaml", "empty")]
    [InlineData("data prepare HERE/none --out HERE/new", "none")]
    [InlineData("train HERE/tiny.yaml --out ''", "--out: found nothing, expected DIR.")]
    [InlineData("generate '' --prompt a", "found nothing, expected PATH.")]
    // values
    [InlineData("train HERE/tiny.yaml --set training.steps=many", "many")]
    [InlineData("train HERE/tiny.yaml --threads 0", "--threads")]
    [InlineData("train HERE/tiny.yaml --device gpu", "gpu")]
    [InlineData("generate HERE/run --prompt line --temperature 0,7", "0,7")]
    [InlineData("generate HERE/run --prompt line --temperature warm", "warm")]
    [InlineData("generate HERE/run --prompt line --max-tokens -1", "--max-tokens")]
    [InlineData("reproduce everything", "everything")]
    [InlineData("reproduce mqr", "did you mean mqar?")]
    [InlineData("reproduce --out HERE/new", "--out and --jobs go with --all")]
    [InlineData("reproduce --all --jobs none", "--jobs")]
    [InlineData("reproduce --all mqar", "--all and --jobs go without mqar")]
    [InlineData("reproduce parity --steps 3 --out HERE/new", "--steps: goes without --out")]
    [InlineData("reproduce residual-gradients --out HERE/my.txt", "my.txt: cannot be written")]
    // comparisons
    [InlineData("ablate --vary model.position.kind=rope", "Required argument")]
    [InlineData("ablate HERE/none.yaml", "no such file or recipe")]
    [InlineData("ablate HERE/my.txt", "looks like a text")]
    [InlineData("ablate HERE/tiny.yaml --vary model.position", "expected KEY=VALUE,VALUE")]
    [InlineData("ablate HERE/tiny.yaml --vary model.position.kind=rope,alibbi", "did you mean alibi?")]
    [InlineData("ablate HERE/tiny.yaml --vary model.positon.kind=rope,alibi", "no such part")]
    [InlineData("ablate HERE/tiny.yaml --vary model.width=16,32 --vary model.width=16,64", "found twice")]
    [InlineData("ablate HERE/tiny.yaml --vary training.seed=1,2", "--seeds")]
    [InlineData("ablate HERE/tiny.yaml --seeds 0", "--seeds")]
    [InlineData("ablate HERE/tiny.yaml --match size", "--match")]
    [InlineData("ablate HERE/tiny.yaml --halving", "without --sweep")]
    [InlineData("ablate HERE/tiny.yaml --sweep training.optimizer.rate=1:2", "training.optimizer.rate: unknown key")]
    [InlineData("ablate HERE/tiny.yaml --sweep training.optimizer.learning_rate=1", "expected KEY=LOW:HIGH")]
    [InlineData("ablate HERE/tiny.yaml --rate-transfer", "expected widths and rates")]
    [InlineData("ablate HERE/tiny.yaml --scaling --rate-transfer", "one of the two")]
    [InlineData("ablate HERE/tiny.yaml --scaling --vary model.layers=1,2", "four or more")]
    public async Task It_is_refused_and_the_remedy_succeeds(string line, string message)
    {
        var (code, output, error) = await Workplace.Request([.. ShellLine.Words(here.Placed(line))]);

        Assert.Equal((CommandLine.Refused, ""), (code, output));
        Assert.Contains(message, error);
        await here.AssertSucceed(Hints(error));
    }

    [Fact]
    public async Task What_ends_well_names_commands_that_succeed()
    {
        var trained = await Workplace.Request("train", here["tiny.yaml"], "--set", "training.steps=2", "--out", here["hinted"]);
        var written = await Workplace.Request("init", here["my.txt"], "--out", here["mine.yaml"]);
        var prepared = await Workplace.Request("data", "prepare", here["my.txt"], "--out", here["prepared"]);
        foreach (var (code, _, error) in new[] { trained, written, prepared })
        {
            Assert.True(code == CommandLine.Done, error);
            Assert.NotEmpty(Hints(error));
            await here.AssertSucceed(Hints(error));
        }
    }

    // A command ends with its line, or with the quotes around it.
    private static IEnumerable<string> Hints(string error) =>
        Hint().Matches(error).Select(match => match.Groups["words"].Value.TrimEnd('.', ','));

    [GeneratedRegex(@"(?<=`)transformer (?<words>[^`\n]+)(?=`)|(?<!`)transformer (?<words>[^\n]+)")]
    private static partial Regex Hint();

    /// <summary>A text, a run, and what else people have lying around.</summary>
    public sealed class Place : IAsyncLifetime
    {
        private const string Short = "training.steps=2";
        private readonly Workplace workplace = new();
        private int folders, runs;

        public string this[string name] => workplace[name];

        public async ValueTask InitializeAsync()
        {
            workplace.Write("tiny.yaml", File.ReadAllText(this["tiny.yaml"]).Replace("corpus.txt", this["corpus.txt"]));
            workplace.Write("my.txt", File.ReadAllText(this["corpus.txt"]));
            workplace.Write("empty.yaml", "");
            Directory.CreateDirectory(this["texts"]);
            workplace.Write("texts/a.txt", File.ReadAllText(this["corpus.txt"]));
            await Succeed("train", this["tiny.yaml"], "--set", Short, "--out", this["run"]);
            await Succeed("data", "prepare", this["my.txt"], "--out", this["tokens"]);
            await Succeed("export", this["run"], "--format", "safetensors", "--out", this["weights"]);
            await Succeed("export", this["run"], "--format", "gguf", "--out", this["model.gguf"]);
        }

        public ValueTask DisposeAsync()
        {
            workplace.Dispose();
            return ValueTask.CompletedTask;
        }

        public string Placed(string line) => line.Replace("HERE", workplace.Folder);

        /// <summary>Runs commands as they are, but for words that stand for the user's own, and a new run's steps and folder.</summary>
        internal async Task AssertSucceed(IEnumerable<string> hints)
        {
            folders++;
            foreach (var hint in hints) await Succeed([.. Completed(ShellLine.Words(Joined(hint)))]);
        }

        private static async Task Succeed(params string[] words)
        {
            var (code, _, error) = await Workplace.Request(words);
            Assert.True(code == CommandLine.Done, $"{string.Join(' ', words)}: {error}");
        }

        // `cat FOLDER/*.txt > all.txt && transformer ...`: the first half is the shell's.
        private string Joined(string hint)
        {
            if (hint.Contains("all.txt", StringComparison.Ordinal))
                File.WriteAllText(this["all.txt"], File.ReadAllText(this["texts/a.txt"]));
            return hint.Replace("data.path=all.txt", $"data.path={this["all.txt"]}");
        }

        private IEnumerable<string> Completed(List<string> words)
        {
            foreach (var word in words)
                yield return word switch
                {
                    "RECIPE" or "NAME" => "names",
                    "FOLDER" or "imported" => this[$"imported{folders}"],
                    "data.path=TEXT" => $"data.path={this["my.txt"]}",
                    _ => word,
                };
            if (words[0] == "ablate") yield return "--dry-run";
            if (words[0] == "init")
            {
                yield return "--out";
                yield return this[$"init{runs++}.yaml"];
            }
            if (words[0] == "report")
            {
                yield return "--out";
                yield return this[$"report{runs++}.html"];
            }
            if (words[0] != "train" || words.Contains("--resume") || words.Contains("--help")) yield break;
            foreach (var word in (string[])["--set", Short, "--out", this[$"run{runs++}"]]) yield return word;
        }
    }
}
