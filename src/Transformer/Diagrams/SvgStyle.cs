namespace Transformer.Diagrams;

/// <summary>The colours of pictures, for a light and a dark page; each picture brings its own background.</summary>
internal static class SvgStyle
{
    /// <summary>The style sheet. Viewers that know no dark pages ignore the second half.</summary>
    public const string Sheet = """

        text { font-family: system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328; }
        .title, .name { font-weight: 600; }
        .muted { fill: #59636e; }
        .page { fill: #ffffff; }
        .panel { fill: #f6f8fa; stroke: #d1d9e0; }
        .line { fill: none; stroke: #59636e; stroke-width: 1.5; }
        .head { fill: #59636e; }
        .dashed { fill: none; stroke: #59636e; stroke-width: 1.5; stroke-dasharray: 5 4; }
        .add { fill: #ffffff; stroke: #59636e; stroke-width: 1.5; }
        .box { fill: #ffffff; stroke: #818b98; }
        .mixer .box { fill: #ddf4ff; stroke: #0969da; }
        .mlp .box { fill: #dafbe1; stroke: #1a7f37; }
        .norm .box { fill: #fff8c5; stroke: #9a6700; }
        .embedding .box { fill: #fbefff; stroke: #8250df; }
        .position .box { fill: #fff1e5; stroke: #bc4c00; }
        .cell { fill: #eaeef2; }
        .key { fill: #0969da; }
        @media (prefers-color-scheme: dark) {
          text { fill: #f0f6fc; }
          .muted { fill: #a5afbb; }
          .page { fill: #0d1117; }
          .panel { fill: #151b23; stroke: #3d444d; }
          .line, .dashed { stroke: #9198a1; }
          .head { fill: #9198a1; }
          .add { fill: #0d1117; stroke: #9198a1; }
          .box { fill: #212830; stroke: #9198a1; }
          .mixer .box { fill: #10233f; stroke: #4493f8; }
          .mlp .box { fill: #102a1a; stroke: #3fb950; }
          .norm .box { fill: #2e2409; stroke: #d29922; }
          .embedding .box { fill: #271a40; stroke: #ab7df8; }
          .position .box { fill: #331e0f; stroke: #f0883e; }
          .cell { fill: #212830; }
          .key { fill: #4493f8; }
        }

        """;

    /// <summary>What is added to <see cref="Sheet"/> for pictures with groups of tokens.</summary>
    public const string Groups = """

        .hourglass .box { fill: #d8f3f0; stroke: #0f7b74; }
        .even { fill: #cfe8ff; }
        .odd { fill: #ffe3c2; }
        .open { fill: #eaeef2; }
        .end { stroke: #1f2328; stroke-width: 3; }
        .scale { fill: #eaeef2; }
        .likely { fill: #0f7b74; }
        @media (prefers-color-scheme: dark) {
          .hourglass .box { fill: #0c2b2b; stroke: #39b5ab; }
          .even { fill: #173a5e; }
          .odd { fill: #553617; }
          .open { fill: #212830; }
          .end { stroke: #f0f6fc; }
          .scale { fill: #212830; }
          .likely { fill: #39b5ab; }
        }

        """;

    /// <summary>What is added to <see cref="Sheet"/> for pictures of pixels.</summary>
    public const string Pictures = """

        .pixels { image-rendering: pixelated; }
        .shade { fill: #1f2328; }

        """;
}
