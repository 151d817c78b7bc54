using Transformer.Layers;
using Transformer.Native;
using static TorchSharp.torch;

namespace Transformer.Model;

/// <summary>
/// Reports when the modules of a model begin and end, in forward and in backward passes, until it is disposed. A module's backward pass is
/// framed by two identity functions, after its output and before its input, whose gradients mark its beginning and end.
/// </summary>
internal sealed class ModuleWatch : IDisposable
{
    /// <param name="Begin">A module begins: its name, such as model.layers.0.mlp, and whether in the backward pass.</param>
    /// <param name="End">The module that began last, of those that have not ended, ends.</param>
    public sealed record Listener(Action<string, bool> Begin, Action End);

    private readonly List<Action> removals = [];

    /// <param name="model">The model.</param>
    /// <param name="listener">Called on the thread that computes. Must not throw.</param>
    public ModuleWatch(TransformerModel model, Listener listener)
    {
        foreach (var (name, module) in model.named_modules())
        {
            var frame = new Frame(name, listener);
            switch (module)
            {
                case Decoder or Stack: break;    // the whole pass, which is not a part of the model
                case nn.Module<Tensor, Tensor> plain:
                    Remember(
                        plain.register_forward_pre_hook((_, x) => frame.Enter(x)),
                        plain.register_forward_hook((_, _, y) => frame.Leave(y)));
                    break;
                case nn.Module<Tensor, ForwardContext, Tensor> layer:
                    Remember(
                        layer.register_forward_pre_hook((_, x, context) => (frame.Enter(x), context)),
                        layer.register_forward_hook((_, _, _, y) => frame.Leave(y)));
                    break;
                case nn.Module<Tensor, ForwardContext, LayerState?, Tensor> mixer:
                    Remember(
                        mixer.register_forward_pre_hook((_, x, context, state) => (frame.Enter(x), context, state)),
                        mixer.register_forward_hook((_, _, _, _, y) => frame.Leave(y)));
                    break;
            }
        }

        void Remember<TBefore, TAfter>(
            nn.HookableModule<TBefore, TAfter>.HookRemover before, nn.HookableModule<TBefore, TAfter>.HookRemover after)
            where TBefore : Delegate where TAfter : Delegate
        {
            removals.Add(before.remove);
            removals.Add(after.remove);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var remove in removals) remove();
    }

    // One module, which may be nested in itself only if it is recomputed in the backward pass.
    private sealed class Frame(string name, Listener listener)
    {
        private readonly Stack<bool> framed = [];

        public Tensor Enter(Tensor x)
        {
            framed.Push(is_grad_enabled() && x.requires_grad);
            if (framed.Peek()) x = Identity.apply(x, listener.End);
            listener.Begin(name, false);
            return x;
        }

        public Tensor Leave(Tensor y)
        {
            listener.End();
            return framed.Pop() ? Identity.apply(y, () => listener.Begin(name, true)) : y;
        }
    }

    private sealed class Identity : Operator<Identity>
    {
        public override Tensor forward(autograd.AutogradContext context, params object[] inputs)
        {
            context.save_data(nameof(Action), inputs[1]);
            return ((Tensor)inputs[0]).detach();
        }

        protected override List<Tensor> Gradients(autograd.AutogradContext context, Tensor gradient)
        {
            ((Action)context.get_data(nameof(Action)))();
            return [gradient.alias(), null!];
        }
    }
}
