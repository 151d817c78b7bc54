using Transformer.Data.Images;

namespace Transformer.Data.Tasks;

/// <summary>What a picture shows, and what its rows ask.</summary>
internal abstract class Scene
{
    /// <summary>The picture.</summary>
    public abstract Picture Draw();

    /// <summary>Fills a row behind the placeholder of the picture, and says which sort of question it is.</summary>
    /// <param name="row">The row.</param>
    /// <param name="question">Which of the picture's rows it is.</param>
    public abstract void Write(TaskRow row, int question);
}
