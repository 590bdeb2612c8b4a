/** Fetches files of an artifact: the digest of what comes is compared, and it unpacks to no more than it may. */
import { unpackZstdStream } from '../../compression/zstd-stream.js';
import { throwIfAborted } from '../../oci/cancel.js';
import type { ImageSource } from '../../oci/source.js';
import { DigestCheck } from '../../oci-names/digest.js';
import { digestWrong, imageError, sizeWrong } from '../../oci-names/errors.js';
import { messageOf, SandboxError } from '../../util/errors.js';
import { artifactInvalid } from './errors.js';
import type { ArtifactLayer } from './files.js';

export interface FetchOptions {
  readonly source: ImageSource;
  readonly signal: AbortSignal | undefined;
  /** Gets the length of each piece that has come. */
  readonly onBytes?: ((count: number) => void) | undefined;
}

/**
 * What a file unpacks to.
 * @param most bytes
 * @throws {SandboxError} `digest-wrong`, `blob-size-wrong`, `artifact-invalid`: it unpacks to more, or not at all;
 *   `zstd-missing`, `aborted`, and those of the source
 */
export async function* fetchFile(layer: ArtifactLayer, most: number, options: FetchOptions): AsyncGenerator<Buffer> {
  const { source, signal } = options;
  let failure: unknown;
  const blob = checkedBlob(layer, options, (error) => {
    failure = error;
  });
  // Without its `return`: what is wrong with a file that does not unpack is known at its end.
  const kept = { [Symbol.asyncIterator]: () => ({ next: () => blob.next() }) };
  const content = unpackZstdStream(kept);
  let length = 0;
  try {
    for (;;) {
      throwIfAborted(signal);
      const { done, value } = await content.next().catch(async (error: unknown) => {
        if (error === failure || error instanceof SandboxError) throw error;
        while ((await blob.next()).done !== true);
        throw artifactInvalid(source.name, `its ${layer.path} cannot be unpacked (${messageOf(error)})`, error);
      });
      if (done === true) return;
      length += value.length;
      if (length > most) throw artifactInvalid(source.name, `its ${layer.path} unpacks to more than ${most} bytes`);
      yield value;
    }
  } finally {
    await content.return(undefined);
    await blob.return(undefined);
  }
}

/**
 * The same as a whole, for small files.
 * @throws {SandboxError} as {@link fetchFile}
 */
export async function fetchText(layer: ArtifactLayer, most: number, options: FetchOptions): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of fetchFile(layer, most, options)) pieces.push(piece);
  return Buffer.concat(pieces).toString('utf8');
}

async function* checkedBlob(
  { path, descriptor }: ArtifactLayer,
  { source, signal, onBytes }: FetchOptions,
  /** Gets what the source throws. */
  onFailure: (error: unknown) => void,
): AsyncGenerator<Uint8Array> {
  const { digest, size } = descriptor;
  const which = `${path} of ${source.name}`;
  const check = new DigestCheck(digest);
  let length = 0;
  try {
    for await (const piece of source.blob(descriptor, 0, signal)) {
      length += piece.length;
      if (length > size) throw sizeWrong(which, size, 'the registry sent more');
      check.update(piece);
      onBytes?.(piece.length);
      yield piece;
    }
  } catch (error) {
    onFailure(error);
    throw error;
  }
  if (length < size)
    throw imageError('blob-truncated', `${which} stops after ${length} of ${size} bytes`, 'pull it again');
  const { matches, actual } = check.finish();
  if (!matches) throw digestWrong(which, digest, actual);
}
