/** The part of lzma-native that is used here; the package carries no types of its own. */
declare module 'lzma-native' {
  interface LzmaNative {
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
