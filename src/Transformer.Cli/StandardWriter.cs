using System.Runtime.InteropServices;
using System.Text;

namespace Transformer.Cli;

/// <summary>
/// Standard output and standard error, the only way to both. What a command makes goes to standard output and must arrive; a message on
/// standard error that cannot be written (a full disk, a closed terminal) is dropped, so that it never ends a run.
/// </summary>
internal sealed partial class StandardWriter : TextWriter
{
    private const int GetFlags = 1, CloseOnExec = 1;                        // of fcntl
    private const int Interrupted = 4, BrokenPipe = 32;                        // of write
    private const short Writable = 4;                                          // of poll
    private static readonly int TryAgain = OperatingSystem.IsMacOS() ? 35 : 11;

    private readonly Lock gate = new();
    private readonly Encoder encoder = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false).GetEncoder();
    private readonly int descriptor;
    private readonly bool mustArrive, isOpen;
    private readonly Stream? stream;    // where there are no descriptors

    private StandardWriter(int descriptor, bool mustArrive)
    {
        (this.descriptor, this.mustArrive) = (descriptor, mustArrive);
        NewLine = Environment.NewLine;
        if (OperatingSystem.IsWindows())
        {
            if (IsTerminal) Console.OutputEncoding = Encoding.UTF8;    // a console there has a code page of its own
            stream = descriptor == 1 ? Console.OpenStandardOutput() : Console.OpenStandardError();
        }
        // The shell may have closed it (2>&-), and the runtime opened something of its own with its number; it alone sets this flag.
        else
        {
            isOpen = Control(descriptor, GetFlags, 0) is >= 0 and var flags && (flags & CloseOnExec) == 0;
        }
        // Loads now what writing needs.
        try
        {
            Append([]);
        }
        catch (OutputException)
        {
        }
    }

    /// <summary>Where results go.</summary>
    /// <exception cref="OutputException">Thrown by its methods where they cannot be written.</exception>
    public static StandardWriter Output { get; } = new(1, mustArrive: true);

    /// <summary>Where everything else goes; it never throws.</summary>
    public static StandardWriter Error { get; } = new(2, mustArrive: false);

    /// <summary>Whether a person sees it at once.</summary>
    public bool IsTerminal => mustArrive ? !Console.IsOutputRedirected : !Console.IsErrorRedirected;

    /// <inheritdoc/>
    public override Encoding Encoding => Encoding.UTF8;

    /// <inheritdoc/>
    public override void Write(char value) => Append([value]);

    /// <inheritdoc/>
    public override void Write(string? value) => Append(value);

    /// <inheritdoc/>
    public override void Write(char[] buffer, int index, int count) => Append(new(buffer, index, count));

    /// <inheritdoc/>
    public override void WriteLine(string? value) => Append(value + NewLine);    // one piece, which other writers do not split

    /// <inheritdoc/>
    public override void Write(ReadOnlySpan<char> buffer) => Append(buffer);

    private void Append(ReadOnlySpan<char> text)
    {
        lock (gate)
        {
            try
            {
                var bytes = new byte[encoder.GetByteCount(text, flush: false)];
                encoder.GetBytes(text, bytes, flush: false);
                WriteBytes(bytes);
            }
            catch (Exception) when (!mustArrive)
            {
            }
        }
    }

    private unsafe void WriteBytes(ReadOnlySpan<byte> bytes)
    {
        if (stream is not null)
        {
            WriteTo(stream, bytes);
            return;
        }
        if (!isOpen) throw new OutputException("it is closed", isClosedPipe: false);
        do
        {
            nint written;
            fixed (byte* start = bytes) written = Write(descriptor, start, bytes.Length);
            var problem = written < 0 ? Marshal.GetLastPInvokeError() : 0;
            if (problem == 0) bytes = bytes[(int)written..];
            else if (problem == TryAgain) WaitForRoom();    // a pipe that another process made non-blocking is full
            else if (problem != Interrupted)
                throw new OutputException(Marshal.GetPInvokeErrorMessage(problem), problem is BrokenPipe);
        }
        while (!bytes.IsEmpty);
    }

    private unsafe void WaitForRoom()
    {
        var request = new PollRequest(descriptor, Writable, 0);
        _ = Poll(&request, count: 1, milliseconds: -1);    // where it fails, the next write tells why
    }

    private static void WriteTo(Stream stream, ReadOnlySpan<byte> bytes)
    {
        try
        {
            stream.Write(bytes);
            stream.Flush();
        }
        catch (IOException e)
        {
            throw new OutputException(e.Message, isClosedPipe: false);
        }
    }

    // Unlike the runtime's own stream it reports that the reader has gone, and needs nothing that is not loaded.
    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static unsafe partial nint Write(int descriptor, byte* bytes, nint count);

    [LibraryImport("libc", EntryPoint = "poll")]
    private static unsafe partial int Poll(PollRequest* requests, nuint count, int milliseconds);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Control(int descriptor, int command, int argument);

    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct PollRequest(int Descriptor, short Events, short Found);
}
