namespace Transformer.Data.Images;

/// <summary>A picture of three colours, without transparency.</summary>
/// <param name="Width">Pixels of a row.</param>
/// <param name="Height">Rows.</param>
/// <param name="Pixels">Red, green and blue from 0 to 255, from left to right, then down: [Height, Width, 3].</param>
public sealed record Picture(int Width, int Height, byte[] Pixels);
