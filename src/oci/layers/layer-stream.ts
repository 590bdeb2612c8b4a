/** A layer's archive, unpacked and checked while it is read. */
import { unpackStream } from '../../compression/stream.js';
import { SandboxError } from '../../util/errors.js';
import { throwIfAborted } from '../cancel.js';
import { type Digest, DigestCheck } from '../digest.js';
import { digestWrong } from '../errors.js';
import { MOST_UNPACKED_BYTES } from '../limits.js';
import type { LayerCompression } from '../media-types.js';
import { TarError } from '../tar/pieces.js';
import { layerError, tooMuch } from './errors.js';

/** A layer of an image that is on this host. */
export interface StoredLayer {
  /** Names it, for errors: `layer 3 of debian:13`. */
  readonly which: string;
  readonly compression: LayerCompression;
  /** The digest of what it unpacks to. */
  readonly diffId: Digest;
  /** Its bytes as they came. They were checked. */
  readonly open: (signal: AbortSignal | undefined) => AsyncIterable<Uint8Array>;
}

/** How many bytes the layers of an image have unpacked to. */
export interface UnpackedBytes {
  count: number;
}

/**
 * The bytes of a layer's archive. At their end the digest is compared.
 * @param options `isChecked`: it was read to its end before, and is what it should be
 * @throws {SandboxError} `digest-wrong`, `layer-invalid`, `layer-too-large`, `zstd-missing`, `aborted`
 */
export async function* layerStream(
  layer: StoredLayer,
  unpacked: UnpackedBytes,
  options: { readonly isChecked: boolean; readonly signal?: AbortSignal | undefined },
): AsyncGenerator<Uint8Array> {
  const { which, diffId, compression } = layer;
  const check = options.isChecked ? undefined : new DigestCheck(diffId);
  const content = unpackStream(layer.open(options.signal), compression)[Symbol.asyncIterator]();
  try {
    for (;;) {
      throwIfAborted(options.signal);
      const { done, value } = await content.next().catch((error: unknown) => {
        throw error instanceof SandboxError ? error : layerError(which, `is damaged (${compression})`, error);
      });
      if (done === true) break;
      unpacked.count += value.length;
      if (unpacked.count > MOST_UNPACKED_BYTES) throw tooMuch(which, `byte ${MOST_UNPACKED_BYTES} of an image`);
      check?.update(value);
      yield value;
    }
    const found = check?.finish();
    if (found?.matches === false) throw digestWrong(`the content of ${which}`, diffId, found.actual);
  } finally {
    await content.return?.();
  }
}

/** The SandboxError of an archive that cannot be read; any other error as it is. */
export function archiveProblem(error: unknown, which: string): unknown {
  return error instanceof TarError ? layerError(which, error.message, error) : error;
}
