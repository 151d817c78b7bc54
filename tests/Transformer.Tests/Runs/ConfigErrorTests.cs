using Transformer.Configuration;
using Transformer.Runs;

namespace Transformer.Tests.Runs;

public class ConfigErrorTests
{
    private const string Sound = """
        model: {width: 128, context_length: 64, layers: 4, attention: {kind: softmax, heads: 4}}
        data: {path: builtin:tinyshakespeare}
        training: {steps: 100, batch_size: 12, optimizer: {kind: adamw, learning_rate: 1e-3}}
        """;

    [Theory]
    [InlineData("model.atention={kind: softmax, heads: 4}", "model.atention: unknown key; did you mean model.attention?")]
    [InlineData(
        "model.colour=red",
        "model.colour: unknown key; expected one of width, context_length, layers, vocabulary_size, attention, mixers, pattern, position,")]
    [InlineData("tranning=1", "tranning: unknown key; did you mean training?")]
    [InlineData(
        "model.mlp={kind: swigl}",
        "model.mlp.kind: found swigl, expected one of gelu, gelu_tanh, relu, relu_squared, swiglu, mixture, none; did you mean swiglu?")]
    [InlineData("model.mlp={kind: null}", "model.mlp.kind: missing; expected one of gelu, gelu_tanh, relu, relu_squared, swiglu, mixture")]
    [InlineData(
        "model.mlp={experts: 4}",
        "model.mlp.experts: unknown key; expected one of hidden, bias, since the kind is swiglu where model.mlp.kind is not given")]
    [InlineData("model.mlp={hidden: 0}", "model.mlp.hidden: found 0, expected 1 to 16777216")]
    [InlineData("model.mlp={kind: 3}", "model.mlp.kind: found 3, expected one of gelu")]
    [InlineData("model.mlp=swiglu", "model.mlp: found the text \"swiglu\", expected keys and values")]
    [InlineData("model.position={kind: learned, theta: 3}", "model.position.theta: unknown key; expected no keys")]
    [InlineData("model.position={kind: rope, scaling: {kind: linear}}", "model.position.scaling.factor: missing; expected a finite number")]
    [InlineData(
        "model.position={kind: rope, scaling: {kind: ntk, factor: 0.5}}",
        "model.position.scaling.factor: found 0.5, expected 1 or more")]
    [InlineData("model.position={kind: rope, scaling: {kind: dynamic_ntk, factor: 2, original_length: " +
        "0}}", "model.position.scaling.original_length: found 0, expected 1 or more")]
    [InlineData("model.position={kind: rope, scaling: {kind: yarn, factor: 2, original_length: 9, beta_slow: " +
        "40}}", "model.position.scaling.beta_fast: found 32, expected more than beta_slow 40")]
    [InlineData("model.position={kind: rope, scaling: {kind: yarn, factor: 2, original_length: 9, beta_slow: " +
        "0}}", "model.position.scaling.beta_slow: found 0, expected more than 0")]
    [InlineData("model.position={kind: rope, theta: 1, scaling: {kind: yarn, factor: 2, original_length: " +
        "9}}", "model.position.theta: found 1, expected more than 1")]
    [InlineData("model.position={kind: rope, scaling: {kind: llama3, factor: 2, original_length: 9, high_frequency_factor: " +
        "1}}", "model.position.scaling.high_frequency_factor: found 1")]
    [InlineData("model.position={kind: rope, scaling: {kind: llama3, factor: 2, original_length: 9, low_frequency_factor: " +
        "-1}}", "model.position.scaling.low_frequency_factor: found -1")]
    [InlineData("model={width: 8, context_length: 4, layers: 1, attention: {kind: softmax, heads: 4}, position: {kind: rope, scaling: " +
        "{kind: ntk, factor: 2}}}", "model.attention.head_width: NTK scaling leaves the first pair of a head as it is")]
    [InlineData("model.position={kind: t5, buckets: 1}", "model.position.buckets: found 1, expected 2 to 65536")]
    [InlineData("model.position={kind: t5, maximum_distance: 16}", "model.position.maximum_distance: found 16, expected more than 16")]
    [InlineData("model.position={kind: relative, maximum: 0}", "model.position.maximum: found 0, expected 1 to 1048576")]
    [InlineData("model.width=wide", "model.width: found the text \"wide\", expected a whole number of at most ten digits")]
    [InlineData("model.width='128'", "model.width: found the text \"128\", expected a whole number of at most ten digits")]
    [InlineData("model.width=128.50", "model.width: found 128.50, expected a whole number of at most ten digits")]
    [InlineData("model.width=1.28e20", "model.width: found 1.28e20, expected a whole number of at most ten digits")]
    [InlineData("training.steps=-1e2", "training.steps: found -1e2, expected 1 or more")]
    [InlineData("training.optimizer.learning_rate=-1e-3", "training.optimizer.learning_rate: found -1e-3, expected more than 0")]
    [InlineData("model.layers=2147483647", "model.layers: found 2147483647, expected 0 to 100000")]
    [InlineData("model.width=2147483647", "model.width: found 2147483647, expected 1 to 1048576")]
    [InlineData("model.width=12800000000", "model.width: found 12800000000, expected a whole number of at most ten digits")]
    [InlineData("model.width=null", "model.width: found nothing, expected a whole number of at most ten digits")]
    [InlineData("model.tied_head=no", "model.tied_head: found the text \"no\", expected true or false")]
    [InlineData("model.dropout=.nan", "model.dropout: found .nan, expected a finite number")]
    [InlineData("model.dropout=.inf", "model.dropout: found .inf, expected a finite number")]
    [InlineData("model.dropout=1e999", "model.dropout: found 1e999, expected a finite number")]
    [InlineData("model.dropout=1.5", "model.dropout: found 1.5, expected 0 or more and less than 1")]
    [InlineData("model.attention.heads=7", "model.attention.heads: 7 heads do not divide width 128.")]
    [InlineData("model.attention.window={kind: slidng, size: 4}", "model.attention.window.kind: found slidng, expected one of full, " +
        "sliding, length_scaled, adaptive, dynamic; did you mean sliding?")]
    [InlineData(
        "model.attention.window={kind: sliding}", "model.attention.window.size: missing; expected a whole number of at most ten digits")]
    [InlineData("model.attention.window={kind: sliding, size: 0}", "model.attention.window.size: found 0, expected 1 or more; " +
        "1 is the token itself")]
    [InlineData("model.attention.window={kind: length_scaled, exponent: 1.5}", "model.attention.window.exponent: found 1.5, " +
        "expected more than 0 and at most 1")]
    [InlineData("model.attention.window={kind: length_scaled, scale: 0}", "model.attention.window.scale: found 0, expected more than 0")]
    [InlineData(
        "model.attention.window={kind: adaptive, maximum: 9, ramp: 0}",
        "model.attention.window.ramp: found 0, expected 1 or more; without a ramp the span has no gradient, so take sliding")]
    [InlineData("model.attention.window={kind: dynamic, maximum: 0}", "model.attention.window.maximum: found 0, expected 1 or more")]
    [InlineData(
        "model.attention.window={kind: dynamic, maximum: 9, penalty: -1}",
        "model.attention.window.penalty: found -1, expected 0 or more")]
    [InlineData("model.norm={kind: rms, epsilon: 0}", "model.norm.epsilon: found 0, expected more than 0")]
    [InlineData("model.residual={kind: hyper_connections, streams: 0}", "model.residual.streams: found 0, expected 1 to 256")]
    [InlineData("model={width: 8, context_length: 8, layers: 2, attention: {kind: softmax, heads: 2}, residual: {kind: rezero}, norm: " +
        "{kind: layer}}", "model.norm: rezero has no norms")]
    [InlineData("model={width: 8, context_length: 8, layers: 2, attention: {kind: softmax, heads: 2}, residual: {kind: rezero}, " +
        "initialization: {kind: zero_projections}}", "model.initialization: zero_projections under rezero")]
    [InlineData("model={width: 8, context_length: 8, layers: 1, attention: {kind: softmax, heads: 2, value_residual: " +
        "true}}", "model.attention.value_residual: only one block has it")]
    [InlineData("model.mlp={kind: mixture, experts: 2, active: 1}", "model.mlp.expert: missing; expected keys and values")]
    [InlineData(
        "model.mlp={kind: mixture, experts: 2, active: 3, expert: {kind: relu}}",
        "model.mlp.active: found 3, expected 1 to experts, that is 2")]
    [InlineData(
        "model.mlp={kind: mixture, experts: 0, active: 1, expert: {kind: relu}}",
        "model.mlp.experts: found 0, expected 1 to 65536")]
    [InlineData(
        "model.mlp={kind: mixture, experts: 2, active: 1, hidden: 4, expert: {kind: relu}}",
        "model.mlp.hidden: found beside experts")]
    [InlineData(
        "model.mlp={kind: mixture, experts: 2, active: 1, bias: true, expert: {kind: relu}}", "model.mlp.bias: found beside experts")]
    [InlineData("model.mlp={kind: mixture, experts: 2, active: 1, balance: -1, expert: {kind: relu}}", "model.mlp.balance: found -1, " +
        "expected 0 or more")]
    [InlineData("model.mlp={kind: mixture, experts: 2, active: 1, capacity_factor: 0, expert: {kind: " +
        "relu}}", "model.mlp.capacity_factor: found 0, expected more than 0")]
    [InlineData(
        "model.mlp={kind: mixture, experts: 2, active: 1, expert: {kind: relu, hiden: 4}}",
        "model.mlp.expert.hiden: unknown key; did you mean model.mlp.expert.hidden?")]
    [InlineData("model.mlp={kind: mixture, experts: 2, active: 1, expert: {kind: mixture, experts: 2, active: 1, expert: {kind: " +
        "relu}}}", "model.mlp.expert.kind: found a mixture in a mixture")]
    [InlineData("model.preset=gpt3", "model.preset: found gpt3, expected one of gpt-micro")]
    [InlineData("model.preset=3", "model.preset: found 3, expected one of gpt-micro")]
    [InlineData("data.path=3", "data.path: found 3, expected text")]
    [InlineData(
        "data.sampling=shufled", "data.sampling: found shufled, expected one of shuffled, random, contiguous; did you mean shuffled?")]
    [InlineData("data.tokenizer={kind: bpe, merges: m}", "data.tokenizer.vocabulary: missing; expected text")]
    [InlineData("training.parameters={pattern: a}", "training.parameters: found keys and values, expected a list")]
    [InlineData("training.parameters=[{pattern: a}, {pattern: ''}]", "training.parameters[1].pattern: found an empty pattern")]
    [InlineData(
        "training.parameters=[{pattern: a}, {patern: b}]",
        "training.parameters[1].patern: unknown key; did you mean training.parameters[1].pattern?")]
    [InlineData(
        "training.parameters[0].pattern=a", "training.parameters[0].pattern: there is no item [0], the list has 0; give the whole list")]
    [InlineData(
        "training.optimizer={kind: muon, learning_rate: 1, adamw: {learning_rate: -1}}",
        "training.optimizer.adamw.learning_rate: found -1")]
    [InlineData("data.path=null", "data.path: missing; expected a file, a folder or builtin:NAME here, or a generated task as data.task")]
    [InlineData("data.task={kind: copy}", "data.path: found builtin:tinyshakespeare beside task; give one of the two")]
    [InlineData("data={task: {kind: mqra}}", "data.task.kind: found mqra, expected one of mqar, associative_retrieval, copy, reverse, " +
        "selective_copy, induction_heads, addition, parity, modular_addition, multi_hop, noisy_recall, memorization, sort_of_clevr, " +
        "captioned_scenes; did you mean mqar?")]
    [InlineData("data={task: {kind: copy}, tokenizer: {kind: byte}}", "data.tokenizer: found beside task, " +
        "which has its own tokens and validation rows; leave it out")]
    [InlineData("data={task: {kind: copy}, validation_path: a}", "data.validation_path: found beside task")]
    [InlineData("data={task: {kind: copy}, validation_fraction: 0.1}", "data.validation_fraction: found beside task")]
    [InlineData("data={task: {kind: copy}, sampling: shuffled}", "data.sampling: found beside task")]
    [InlineData("data={task: {kind: copy, length: 0}}", "data.task.length: found 0, expected 1 or more")]
    [InlineData("data={task: {kind: copy, validation_length: 0}}", "data.task.validation_length: found 0, expected 1 or more")]
    [InlineData("data={task: {kind: copy, training_rows: 0}}", "data.task.training_rows: found 0, expected 1 or more")]
    [InlineData("data={task: {kind: copy, validation_rows: 0}}", "data.task.validation_rows: found 0, expected 1 or more")]
    [InlineData("data={task: {kind: reverse, symbols: 1}}", "data.task.symbols: found 1, expected 2 to 1048576")]
    [InlineData(
        "data={task: {kind: mqar, length: 15}}",
        "data.task.length: found 15, expected 16 or more: two tokens for each of the 4 pairs and two for each query")]
    [InlineData("data={task: {kind: mqar, pairs: 0}}", "data.task.pairs: found 0, expected 1 to 1048576")]
    [InlineData(
        "data={task: {kind: mqar, vocabulary: 9}}",
        "data.task.vocabulary: found 9, expected 10 or more, for 4 different keys in its lower half beside 0")]
    [InlineData("data={task: {kind: associative_retrieval, keys: 9}}", "data.task.length: found 10, but there are only 9 keys; lower it, " +
        "raise keys, or set replacement: true")]
    [InlineData("data={task: {kind: selective_copy, marked: 50}}", "data.task.length: found 48, expected 50 or more, " +
        "a position for each of the marked symbols")]
    [InlineData("data={task: {kind: induction_heads, length: 2}}", "data.task.length: found 2, expected 3 or more: a star, " +
        "what follows it, and the star again")]
    [InlineData("data={task: {kind: modular_addition, modulus: 1}}", "data.task.modulus: found 1, expected 2 to 10000")]
    [InlineData(
        "data={task: {kind: modular_addition, training_fraction: 1}}",
        "data.task.training_fraction: found 1, expected more than 0 and less than 1")]
    [InlineData(
        "data={task: {kind: modular_addition, training_rows: 9}}",
        "data.task.training_rows: unknown key; expected one of seed, modulus, training_fraction")]
    [InlineData("data={task: {kind: multi_hop, hops: 0}}", "data.task.hops: found 0, expected 1 to 64")]
    [InlineData("data={task: {kind: multi_hop, pairs: 2}}", "data.task.pairs: found 2, expected 3 to 1048576: more than hops, which ")]
    [InlineData("data={task: {kind: multi_hop, symbols: 7}}", "data.task.symbols: found 7, expected 8 to 1048576: a key of its own ")]
    [InlineData(
        "data={task: {kind: multi_hop, length: 39}}",
        "data.task.length: found 39, expected 40 or more: 3 tokens for each of the 8 pairs and 2 for each of the 8 queries")]
    [InlineData("data={task: {kind: noisy_recall, length: 7}}", "data.task.length: found 7, expected an even number from 4 on: two ")]
    [InlineData("data={task: {kind: noisy_recall, noise: 1}}", "data.task.noise: found 1, expected 0 or more and less than 1")]
    [InlineData("data={task: {kind: memorization, length: 5}}", "data.task.length: found 5, expected an even number from 2 on: a key ")]
    [InlineData("data={task: {kind: addition, symbols: 2}}", "data.task.symbols: unknown key; expected one of seed, training_rows, " +
        "validation_rows,")]
    [InlineData("model.mlp={kind: none, hidden: 3}", "model.mlp.hidden: found 3 beside kind none, which has no hidden width; leave it out")]
    [InlineData(
        "model.mlp={kind: none, bias: true}",
        "model.mlp.bias: found true beside kind none, which has no projections; leave it out")]
    [InlineData("training.stop_at_accuracy=1.5", "training.stop_at_accuracy: found 1.5, expected more than 0 and at most 1")]
    [InlineData("training.steps.x=1", "training.steps.x: found 100 above x")]
    public void A_wrong_value_is_named_by_its_path_and_what_was_expected(string set, string expected)
    {
        Assert.StartsWith($"run.yaml: {expected}", Assert.Throws<InputException>(() => Parse(Sound, set)).Message);
    }

    [Theory]
    [InlineData("alibi", 4, 8, 2, 16, "mixers: different numbers of heads")]
    [InlineData("t5", 4, 8, 2, 8, "mixers: different numbers of heads")]
    [InlineData("relative", 4, 8, 4, 16, "mixers: heads of different widths")]
    [InlineData("relative", 4, 8, 2, 8, null)]
    [InlineData("alibi", 4, 8, 4, 16, null)]
    public void Mixers_that_cannot_share_a_bias_are_refused(
        string position, int heads, int headWidth, int otherHeads, int otherHeadWidth, string? expected)
    {
        var model = Tiny.Config with
        {
            Attention = null,
            Mixers = new Dictionary<string, AttentionConfig>
            {
                ["a"] = new SoftmaxAttentionConfig { Heads = heads, HeadWidth = headWidth },
                ["b"] = new SoftmaxAttentionConfig { Heads = otherHeads, HeadWidth = otherHeadWidth },
            },
            Pattern = ["a", "b"],
            Position = Tiny.Positions[position],
        };
        if (expected is null) Assert.Empty(model.Problems());
        else Assert.StartsWith(expected, Assert.Single(model.Problems()).ToString());
    }

    [Fact]
    public void Biases_of_scores_and_turns_need_queries_and_keys()
    {
        foreach (var position in (PositionConfig[])[new AlibiPositionConfig(), new RotaryPositionConfig()])
        {
            var problems = (Tiny.Config with { Attention = new ConvolutionConfig(), Position = position }).Problems();
            Assert.StartsWith("position: these positions rotate queries and keys or change scores", Assert.Single(problems).ToString());
        }
    }

    [Theory]
    [InlineData("training.steps=1e2", "steps", "100")]
    [InlineData("training.batch_size=8.0", "batch_size", "8")]
    [InlineData("training.seed=+7", "seed", "7")]
    public void A_whole_number_may_be_written_in_any_form(string set, string key, string number) =>
        Assert.Equal(number, ConfigJson.ToJson(Parse(Sound, set))["training"]![key]!.ToJsonString());

    [Fact]
    public void A_part_whose_kind_is_not_given_keeps_its_default_kind_and_the_values_of_it()
    {
        var run = Parse(
            Sound, "model.mlp.hidden=50", "model.position.theta=500", "model.norm.epsilon=1e-3", "training.schedule.warmup_steps=10");
        Assert.Equal(new SwiGluMlpConfig { Hidden = 50 }, run.Model.Mlp);
        Assert.Equal(new RotaryPositionConfig { Theta = 500 }, run.Model.Position);
        Assert.Equal(new RmsNormConfig { Epsilon = 1e-3 }, run.Model.Norm);
        Assert.Equal(new CosineScheduleConfig { WarmupSteps = 10 }, run.Training.Schedule);
    }

    [Fact]
    public void A_model_that_no_machine_could_hold_is_refused_at_once()
    {
        var message = Assert.Throws<InputException>(() => Parse(
            Sound, "model.layers=100000", "model.width=1048576", "model.attention.heads=1024", "model.mlp.hidden=16777216")).Message;
        Assert.StartsWith("run.yaml: model.width: the blocks would have about ", message);
    }

    [Fact]
    public void A_missing_part_is_named()
    {
        var message = Assert.Throws<InputException>(() => Parse("model: {width: 8, layers: 1}")).Message;
        Assert.Equal("""
            run.yaml: 3 problems
              model.context_length: missing; expected a whole number of at most ten digits
              data: missing; expected keys and values
              training: missing; expected keys and values
            """, message);
    }

    [Fact]
    public void All_that_is_wrong_is_reported_at_once()
    {
        var message = Assert.Throws<InputException>(() => Parse(
            "model: {width: 128, context_length: 0, layers: 4, tied_head: 4, atention: {kind: softmax, heads: 0.5}, " +
            "mlp: {kind: gelu, hidden: -1}}\n" +
            "data: {path: a, path: b, validation_fraction: 2, tokenizer: {kind: bytes}}\n" +
            "training: {steps: 0, batch_size: 12, optimizer: {kind: adamw, learning_rate: 1e-3, beta1: 1, beta2: yes}}\n")).Message;
        Assert.Equal("""
            run.yaml: 11 problems
              data.path: given twice, again in line 2; keep one
              model.tied_head: found 4, expected true or false
              model.atention: unknown key; did you mean model.attention?
              model.attention.heads: found 0.5, expected a whole number of at most ten digits
              model.mlp.hidden: found -1, expected 1 to 16777216
              model.context_length: found 0, expected 1 to 134217728
              data.tokenizer.kind: found bytes, expected one of character, byte, bpe, file; did you mean byte?
              data.validation_fraction: found 2, expected more than 0 and less than 1
              training.optimizer.beta2: found the text "yes", expected a finite number
              training.optimizer.beta1: found 1, expected 0 or more and less than 1
              training.steps: found 0, expected 1 or more
            """, message);
    }

    [Theory]
    [InlineData("model: {width: 1\ndata: 3", "run.yaml:1:14: not YAML: what follows is not closed")]
    [InlineData("model: 3\n data: 4", "run.yaml:2:6: not YAML: ")]
    [InlineData("model: &a 3", "run.yaml:1:8: found an anchor or alias; write the value out.")]
    [InlineData("model: !!str 3", "run.yaml:1:8: found the tag tag:yaml.org,2002:str; write the value without it.")]
    [InlineData("model: 3\n---\ndata: 3", "run.yaml:2:1: found a second document; a file holds one.")]
    [InlineData("{{a: b}: c}", "run.yaml:1:2: found a key that is not a single word.")]
    [InlineData("", "run.yaml: found no keys, expected model, data and training")]
    [InlineData("- 1", "run.yaml: found no keys, expected model, data and training")]
    public void What_is_not_a_yaml_file_of_ours_is_refused_where_it_stands(string text, string expected)
    {
        Assert.StartsWith(expected, Assert.Throws<InputException>(() => Parse(text)).Message);
    }

    [Fact]
    public void Whatever_is_damaged_in_a_file_only_an_input_error_comes_out()
    {
        var random = new Random(1);
        const string Damage = "{}[]:,-#&*!|>'\"%@`? \n\t\\\u00010aZ";
        for (var trial = 0; trial < 500; trial++)
        {
            var text = Sound.ToCharArray();
            for (var hits = random.Next(1, 5); hits > 0; hits--) text[random.Next(text.Length)] = Damage[random.Next(Damage.Length)];
            if (Record.Exception(() => Parse(new string(text))) is { } error)
                Assert.True(error is InputException, $"{new string(text)}\n{error}");
        }
    }

    [Fact]
    public void A_bottomless_file_is_refused()
    {
        Assert.Contains("more than 64 levels", Assert.Throws<InputException>(() => Parse(new string('[', 10_000))).Message);
    }

    [Theory]
    [InlineData("training.steps")]
    [InlineData("=3")]
    [InlineData("training..steps=3")]
    [InlineData("training.steps[x]=3")]
    public void An_override_without_key_and_value_is_refused(string set)
    {
        Assert.Equal(
            $"--set {set}: expected KEY=VALUE, e.g. --set training.steps=100",
            Assert.Throws<InputException>(() => Parse(Sound, set)).Message);
    }

    [Fact]
    public void An_override_that_is_not_yaml_is_refused()
    {
        Assert.StartsWith(
            "--set model.mlp:2:1: not YAML: ", Assert.Throws<InputException>(() => Parse(Sound, "model.mlp={kind: gelu")).Message);
    }

    [Theory]
    [InlineData("shakespear-char", "shakespear-char: no such file or recipe; did you mean the recipe shakespeare-char?")]
    [InlineData("runs/a.yaml", "runs/a.yaml: no such file or recipe; the recipes are captioned-scenes, copy, grokking, hierarchy, ")]
    [InlineData("gpt2", "gpt2 is a preset, the architecture of a run: take a recipe with --set model.preset=gpt2")]
    public void A_name_that_is_neither_file_nor_recipe_is_refused_with_the_nearest_recipe(string name, string expected)
    {
        Assert.StartsWith(expected, Assert.Throws<InputException>(() => ConfigFile.Load(name, [])).Message);
    }

    [Fact]
    public void A_file_that_is_not_utf8_is_refused()
    {
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, [0x61, 0xff]);
            Assert.Equal($"{path}: found bytes that are not UTF-8, expected a YAML or JSON text",
                Assert.Throws<InputException>(() => ConfigFile.Load(path, [])).Message);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static RunConfig Parse(string text, params string[] overrides) => ConfigFile.Parse(text, "run.yaml", overrides);
}
