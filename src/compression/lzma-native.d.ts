/** The part of lzma-native that this program uses. The package brings no types. */
declare module 'lzma-native' {
  /** A coder that takes its input in pieces. */
  interface LzmaStream {
    /**
     * Called with a piece of output, with an error, or at the end with `part` null and the number of input bytes used.
     */
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
    /** A stream that unpacks .xz or .lzma on a worker thread. */
    createDecompressor(): import('node:stream').Transform;
    /** Packs a whole buffer as .xz on a worker thread. */
    compress(
      data: Buffer,
      options: { readonly preset: number; readonly check: number },
      done: (result: Buffer | null, error?: Error & { code?: number }) => void,
    ): void;
    /** A check type of the .xz format. */
    readonly CHECK_CRC32: number;
  }
  const lzma: LzmaNative;
  export default lzma;
}
