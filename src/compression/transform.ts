/** A transform of Node's as a function from bytes to bytes. */
import { Readable, type Transform } from 'node:stream';

/**
 * The output of a transform. A failure of the source is the one that is thrown; when nobody reads on, both are let go.
 */
export async function* throughTransform(
  source: AsyncIterable<Uint8Array>,
  transform: Transform,
): AsyncGenerator<Buffer> {
  const readable = Readable.from(source, { objectMode: false });
  readable.once('error', (error) => transform.destroy(error));
  try {
    yield* readable.pipe(transform) as AsyncIterable<Buffer>;
  } finally {
    readable.destroy();
    transform.destroy();
  }
}
