/** Packs Zstandard (RFC 8878) as a stream, by the system's libzstd: Node has its own from 22.15 on only. */
import { loadLibrary } from './library.js';
import { type ZstdBuffer, zstdCalls } from './zstd-buffers.js';

/** Most bytes of input, and of output, of one call. */
const PIECE = 1 << 20;

/** ZSTD_cParameter of zstd.h, stable numbers. */
const COMPRESSION_LEVEL = 100;
const CHECKSUM_FLAG = 201;

/** ZSTD_EndDirective of zstd.h, stable numbers. */
const CONTINUE = 0;
const END = 2;

/**
 * Packs a source into one frame with a checksum; an empty source is a frame too. Calls libzstd on worker threads.
 * Memory: a piece of input and of output, and what the level takes.
 * @param level 1 to 19: a higher one packs tighter, and takes longer
 * @throws {SandboxError} `zstd-missing`
 * @throws {Error} libzstd refuses the level, or has no memory
 * @throws what the source throws
 */
export async function* packZstdStream(source: AsyncIterable<Uint8Array>, level: number): AsyncGenerator<Buffer> {
  const library = await loadLibrary('libzstd.so.1', {
    code: 'zstd-missing',
    purpose: 'pack zstd',
    remedy: 'install libzstd (Debian: libzstd1, Fedora: libzstd)',
  });
  const { streaming, check } = await zstdCalls(library);
  const create = library.func('void *ZSTD_createCCtx()');
  const free = library.func('size_t ZSTD_freeCCtx(void *context)');
  const setParameter = library.func('size_t ZSTD_CCtx_setParameter(void *context, int parameter, int value)');
  const compress = streaming('ZSTD_compressStream2', 'int');

  const context: unknown = create();
  if (context === null) throw new Error('libzstd has no memory');
  try {
    check(setParameter(context, COMPRESSION_LEVEL, level));
    check(setParameter(context, CHECKSUM_FLAG, 1));

    /** All output of one piece of input. */
    const pack = async function* (data: Buffer, directive: number): AsyncGenerator<Buffer> {
      const input: ZstdBuffer = { data, size: data.length, position: 0 };
      for (let left: number | bigint = 1; Number(left) !== 0 || input.position < input.size; ) {
        const target = Buffer.allocUnsafeSlow(PIECE);
        const output: ZstdBuffer = { data: target, size: PIECE, position: 0 };
        // The call before has put addresses in their place.
        input.data = data;
        left = await compress(context, output, input, directive);
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
