/** The part of lzma-native that is used here; the package carries no types of its own. */
declare module 'lzma-native' {
  interface LzmaNative {
    /** Unpacks a whole .xz or .lzma buffer on a worker thread; `result` is null when `error` is given. */
    decompress(
      data: Buffer,
      options: Record<string, never>,
      done: (result: Buffer | null, error?: Error & { code?: number }) => void,
    ): void;
  }
  const lzma: LzmaNative;
  export default lzma;
}
