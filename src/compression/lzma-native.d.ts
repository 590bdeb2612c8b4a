/** The part of lzma-native that is used here; the package carries no types of its own. */
declare module 'lzma-native' {
  /** A coder that is fed piece by piece. */
  interface LzmaStream {
    /** Told of what came out, of an error, and with `part` null of the end and how many bytes went in until then. */
    bufferHandler: (
      part: Buffer | null | undefined,
      processed: number | undefined,
      error: Error | null | undefined,
      totalIn: number | null,
    ) => void;
    streamDecoder(options: Record<string, never>): void;
    aloneDecoder(options: Record<string, never>): void;
    code(data: Buffer, async: boolean): void;
    resetUnderlying(): void;
  }

  interface LzmaNative {
    readonly Stream: new () => LzmaStream;
    /** Unpacks a whole .xz or .lzma buffer on a worker thread; `result` is null when `error` is given. */
    decompress(
      data: Buffer,
      options: Record<string, never>,
      done: (result: Buffer | null, error?: Error & { code?: number }) => void,
    ): void;
    /** Packs a whole buffer into .xz on a worker thread. */
    compress(
      data: Buffer,
      options: { readonly preset: number; readonly check: number },
      done: (result: Buffer | null, error?: Error & { code?: number }) => void,
    ): void;
    /** Check types of the .xz format. */
    readonly CHECK_CRC32: number;
  }
  const lzma: LzmaNative;
  export default lzma;
}
