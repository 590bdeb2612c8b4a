/** A layer's archive, unpacked and checked while it is read. */
import { unpackStream } from '../../compression/stream.js';
import { type Digest, DigestCheck } from '../../oci-names/digest.js';
import { digestWrong } from '../../oci-names/errors.js';
import { SandboxError } from '../../util/errors.js';
import { throwIfAborted } from '../cancel.js';
import { MOST_UNPACKED_BYTES } from '../limits.js';
import type { LayerCompression } from '../media-types.js';
import { TarError } from '../tar/pieces.js';
import { layerError, tooMuch } from './errors.js';

/** What stands behind the name of a layer that is another one in the second pass. */
export const CHANGED = 'has changed since it was checked';

/** A layer of an image that is on this host. */
export interface StoredLayer {
  /** Names it, for errors: `layer 3 of debian:13`. */
  readonly which: string;
  readonly compression: LayerCompression;
  /** The digest of what it unpacks to. */
  readonly diffId: Digest;
  /** Its bytes as they came. They were checked. */
  readonly open: (signal: AbortSignal | undefined) => AsyncIterable<Uint8Array>;
  /**
   * Asked when the layer cannot be read: whether its bytes are other ones by now, as an error that says so. Undefined:
   * they are what they were, and it is the image that is wrong.
   */
  readonly damage?: (signal: AbortSignal | undefined) => Promise<SandboxError | undefined>;
}

/** How many bytes the layers of an image have unpacked to. */
export interface UnpackedBytes {
  count: number;
}

/**
 * The bytes of a layer's archive. At their end the digest is compared.
 * @param options `pass`: in the second one a layer that is not what it should be has changed since the first one, and is
 *   `layer-invalid`
 * @throws {SandboxError} `digest-wrong`, `layer-invalid`, `layer-too-large`, `zstd-missing`, `aborted`
 */
export async function* layerStream(
  layer: StoredLayer,
  unpacked: UnpackedBytes,
  options: { readonly pass: 1 | 2; readonly signal?: AbortSignal | undefined },
): AsyncGenerator<Uint8Array> {
  const { which, diffId, compression } = layer;
  const check = new DigestCheck(diffId);
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
      check.update(value);
      yield value;
    }
    const { matches, actual } = check.finish();
    if (matches) return;
    throw options.pass === 1 ? digestWrong(`the content of ${which}`, diffId, actual) : layerError(which, CHANGED);
  } finally {
    await content.return?.();
  }
}

/** What the content of a layer may be to blame for. */
const OF_CONTENT: ReadonlySet<string> = new Set(['layer-invalid', 'layer-too-large', 'digest-wrong']);

/**
 * The SandboxError of a layer that cannot be read, which may be about where it is kept; any other error as it is.
 * @throws {SandboxError} `aborted`
 */
export async function layerProblem(
  error: unknown,
  { which, damage }: StoredLayer,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const problem = error instanceof TarError ? layerError(which, error.message, error) : error;
  if (damage === undefined || !(problem instanceof SandboxError) || !OF_CONTENT.has(problem.code)) return problem;
  return (await damage(signal)) ?? problem;
}
