/**
 * Zstandard (RFC 8878) as a stream, for data that are too large to be in memory at once: by the system's libzstd. Node's
 * own decoder (22.15 and later) stops behind the first frame when one write has several (nodejs/node 64741), and some
 * layers have a frame for each file.
 */
import { loadLibrary } from './library.js';
import { type ZstdBuffer, zstdCalls } from './zstd-buffers.js';

/** Bytes of output at a time. */
const CHUNK = 1 << 20;
/** Most bytes of input of one call: it makes some hundreds of times as many of output at most. */
const PIECE = 128 << 10;

/**
 * Unpacks frames one after the other, until the source is at its end; those that may be skipped are. Calls libzstd on
 * worker threads. Memory: one piece of output, and the window of the data, for which libzstd allows 128 MiB.
 * @throws {SandboxError} `zstd-missing`
 * @throws {Error} the data are damaged or cut off
 * @throws what the source throws
 */
export async function* unpackZstdStream(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const library = await loadLibrary('libzstd.so.1', {
    code: 'zstd-missing',
    purpose: 'unpack zstd',
    remedy: 'install libzstd (Debian: libzstd1, Fedora: libzstd)',
  });
  const { streaming } = await zstdCalls(library);
  const create = library.func('void *ZSTD_createDStream()');
  const free = library.func('size_t ZSTD_freeDStream(void *stream)');
  const decompress = streaming('ZSTD_decompressStream');

  const stream: unknown = create();
  // Bytes that the frame still wants; 0 between two frames.
  let wanted: number | bigint = 0;
  try {
    for await (const whole of source) {
      for (let at = 0; at < whole.length; at += PIECE) {
        const data = Buffer.from(whole.buffer, whole.byteOffset + at, Math.min(PIECE, whole.length - at));
        const input: ZstdBuffer = { data, size: data.length, position: 0 };
        for (let isFull = false; input.position < input.size || isFull; ) {
          const target = Buffer.allocUnsafeSlow(CHUNK);
          const output: ZstdBuffer = { data: target, size: CHUNK, position: 0 };
          // A call ends with a frame, which may be a small one.
          do {
            // The call before has put addresses in their place.
            input.data = data;
            output.data = target;
            wanted = await decompress(stream, output, input);
            // At the end of a frame nothing is held back, and one more call would begin the next.
            isFull = output.position === CHUNK && Number(wanted) !== 0;
          } while (input.position < input.size && output.position < CHUNK);
          if (output.position > 0) yield target.subarray(0, output.position);
        }
      }
    }
    if (Number(wanted) !== 0) throw new Error('the data are cut off');
  } finally {
    free(stream);
  }
}
