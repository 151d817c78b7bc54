using System.Text.Json.Serialization;

namespace Transformer.Configuration;

/// <summary>What is learned of the place of a patch in its picture.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<GridPositions>))]
public enum GridPositions
{
    /// <summary>A vector of its row and one of its column, which are added.</summary>
    [JsonStringEnumMemberName("rows_and_columns")]
    RowsAndColumns,

    /// <summary>A vector of each place.</summary>
    [JsonStringEnumMemberName("table")]
    Table,
}
