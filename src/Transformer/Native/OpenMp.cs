using System.Runtime.InteropServices;

namespace Transformer.Native;

/// <summary>GNU's OpenMP runtime (libgomp), whose threads compute libtorch's operators on Linux.</summary>
internal static partial class OpenMp
{
    // What libgomp takes by itself where it has more threads than cores; else it takes 300,000, which is milliseconds.
    private const string Spins = "1000";

    /// <summary>
    /// Lets a thread that waits for another, at the end of each operator, poll for some microseconds before it sleeps. libgomp's own
    /// milliseconds keep a core from the very thread that is waited for where other processes use the cores too. A user's setting is kept.
    /// </summary>
    /// <remarks>libgomp reads the environment of the C library when it is loaded; .NET's own changes do not reach that.</remarks>
    public static void SpinBriefly()
    {
        if (Environment.GetEnvironmentVariable("OMP_WAIT_POLICY") is null) _ = setenv("GOMP_SPINCOUNT", Spins, overwrite: 0);
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int setenv(string name, string value, int overwrite);
}
