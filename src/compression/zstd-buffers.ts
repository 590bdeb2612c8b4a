/** What the streams of libzstd have in common: their buffers, calls on worker threads, and errors. */
import type { LibraryHandle } from 'koffi';

/** ZSTD_inBuffer, ZSTD_outBuffer. A call puts an address in the place of `data`: set it anew before each. */
export interface ZstdBuffer {
  data: Buffer;
  size: number;
  position: number;
}

export interface ZstdCalls {
  /**
   * A function of a stream, an output, an input, and of one number if `more` says so.
   * What it resolves with is no error.
   */
  readonly streaming: (name: string, more?: 'int') => ZstdCall;
  /** @throws {Error} `result` is an error */
  readonly check: (result: number | bigint) => void;
}

type ZstdCall = (
  stream: unknown,
  output: ZstdBuffer,
  input: ZstdBuffer,
  ...more: readonly number[]
) => Promise<number | bigint>;

export async function zstdCalls(library: LibraryHandle): Promise<ZstdCalls> {
  const { default: koffi } = await import('koffi');
  const inOut = koffi.inout(koffi.pointer(koffi.struct({ data: 'void *', size: 'size_t', position: 'size_t' })));
  const isError = library.func('unsigned int ZSTD_isError(size_t code)');
  const errorName = library.func('const char *ZSTD_getErrorName(size_t code)');
  // An error is a size close to the largest, which only a bigint holds.
  const check = (result: number | bigint) => {
    if (isError(result) !== 0) throw new Error(String(errorName(result)));
  };
  const streaming: ZstdCalls['streaming'] = (name, more) => {
    const called = library.func(name, 'size_t', ['void *', inOut, inOut, ...(more === undefined ? [] : [more])]);
    return async (...values) => {
      const result = await new Promise<number | bigint>((resolve, reject) => {
        called.async(...values, (error: Error | null, found: number | bigint) =>
          error ? reject(error) : resolve(found),
        );
      });
      check(result);
      return result;
    };
  };
  return { streaming, check };
}
