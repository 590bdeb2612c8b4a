/** Packs Zstandard (RFC 8878) as a stream, by the system's libzstd: Node has its own from 22.15 on only. */
import { compressorMissing, loadLibrary } from './library.js';

/** Most bytes of input, and of output, of one call. */
const PIECE = 1 << 20;

/** ZSTD_cParameter of zstd.h, stable numbers. */
const COMPRESSION_LEVEL = 100;
const CHECKSUM_FLAG = 201;

/** ZSTD_EndDirective of zstd.h, stable numbers. */
const CONTINUE = 0;
const END = 2;

/** What one call reads or writes: ZSTD_inBuffer, ZSTD_outBuffer. */
interface Part {
  data: Buffer;
  size: number;
  position: number;
}

/**
 * Packs a source into one frame with a checksum; an empty source is a frame too. Calls libzstd on worker threads.
 * Memory: a piece of input and of output, and what the level takes, some 10 MiB for level 3.
 * @param level 1 to 19: 3 packs some 200 MB/s, 19 some 2 MB/s
 * @throws {SandboxError} `compressor-missing`
 * @throws {Error} libzstd refuses the level, or has no memory
 * @throws what the source throws
 */
export async function* packZstdStream(source: AsyncIterable<Uint8Array>, level: number): AsyncGenerator<Buffer> {
  const { create, free, setParameter, compress, check } = await loadPacker();
  const context = create();
  try {
    check(setParameter(context, COMPRESSION_LEVEL, level));
    check(setParameter(context, CHECKSUM_FLAG, 1));

    /** All output of one piece of input. */
    const pack = async function* (data: Buffer, directive: number): AsyncGenerator<Buffer> {
      const input: Part = { data, size: data.length, position: 0 };
      for (let left: number | bigint = 1; Number(left) !== 0 || input.position < input.size; ) {
        const target = Buffer.allocUnsafeSlow(PIECE);
        const output: Part = { data: target, size: PIECE, position: 0 };
        // The call before has put addresses in their place.
        input.data = data;
        left = await compress(context, output, input, directive);
        check(left);
        if (output.position > 0) yield target.subarray(0, output.position);
        // What is held back until more input comes.
        if (directive === CONTINUE && output.position < PIECE) left = 0;
      }
    };

    for await (const whole of source) {
      for (let at = 0; at < whole.length; at += PIECE)
        yield* pack(Buffer.from(whole.buffer, whole.byteOffset + at, Math.min(PIECE, whole.length - at)), CONTINUE);
    }
    yield* pack(Buffer.alloc(0), END);
  } finally {
    free(context);
  }
}

interface Packer {
  readonly create: () => unknown;
  readonly free: (context: unknown) => void;
  readonly setParameter: (context: unknown, parameter: number, value: number) => number | bigint;
  /** Resolves with the bytes that libzstd still holds back. */
  readonly compress: (context: unknown, output: Part, input: Part, directive: number) => Promise<number | bigint>;
  /** @throws {Error} `result` is an error */
  readonly check: (result: number | bigint) => void;
}

async function loadPacker(): Promise<Packer> {
  const library = await loadLibrary('libzstd.so.1', compressorMissing('zstd', 'Debian: libzstd1, Fedora: libzstd'));
  const { default: koffi } = await import('koffi');
  const inOut = koffi.inout(koffi.pointer(koffi.struct({ data: 'void *', size: 'size_t', position: 'size_t' })));
  const createContext = library.func('void *ZSTD_createCCtx()');
  const free = library.func('size_t ZSTD_freeCCtx(void *context)');
  const setParameter = library.func('size_t ZSTD_CCtx_setParameter(void *context, int parameter, int value)');
  const compress = library.func('ZSTD_compressStream2', 'size_t', ['void *', inOut, inOut, 'int']);
  const isError = library.func('unsigned int ZSTD_isError(size_t code)');
  const errorName = library.func('const char *ZSTD_getErrorName(size_t code)');
  return {
    create: () => {
      const context: unknown = createContext();
      if (context === null) throw new Error('libzstd has no memory');
      return context;
    },
    free,
    setParameter,
    compress: (context, output, input, directive) =>
      new Promise((resolve, reject) => {
        compress.async(context, output, input, directive, (error: Error | null, result: number | bigint) =>
          error ? reject(error) : resolve(result),
        );
      }),
    // An error is a size close to the largest, which only a bigint holds.
    check: (result) => {
      if (isError(result) !== 0) throw new Error(String(errorName(result)));
    },
  };
}
