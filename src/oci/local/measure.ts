/** What a file is as a layer: its digest, packed and unpacked. It is read once for that. */
import { createHash } from 'node:crypto';
import { type StreamFormat, streamFormat, unpackStream } from '../../compression/stream.js';
import type { Digest } from '../../oci-names/digest.js';
import { imageError, quoted } from '../../oci-names/errors.js';
import { SandboxError } from '../../util/errors.js';
import { MOST_UNPACKED_BYTES } from '../limits.js';
import { archiveError } from './archive.js';

export interface Measured {
  readonly compression: StreamFormat;
  /** Of the file as it is. */
  readonly digest: Digest;
  /** Of what it unpacks to. */
  readonly diffId: Digest;
  /** Bytes that it unpacks to. */
  readonly length: number;
}

/**
 * @param start the first bytes of the file
 * @param path of the file, for errors
 * @param most bytes that it may unpack to
 * @throws {SandboxError} `archive-invalid`, `layer-too-large`, and those of reading
 */
export async function measureLayer(
  start: Buffer,
  content: AsyncIterable<Uint8Array>,
  path: string,
  most = MOST_UNPACKED_BYTES,
): Promise<Measured> {
  const compression = streamFormat(start);
  if (compression === undefined)
    throw archiveError(path, 'is packed in a form that images do not have', 'unpack it, or pack it with gzip or zstd');
  const packed = createHash('sha256');
  const unpacked = createHash('sha256');
  const counted = async function* () {
    for await (const piece of content) {
      packed.update(piece);
      yield piece;
    }
  };
  let length = 0;
  try {
    for await (const piece of unpackStream(counted(), compression)) {
      length += piece.length;
      if (length > most)
        throw imageError(
          'layer-too-large',
          `${quoted(path)} unpacks to more than ${most} bytes`,
          'use a smaller image',
        );
      if (compression !== 'none') unpacked.update(piece);
    }
  } catch (error) {
    if (error instanceof SandboxError || compression === 'none') throw error;
    throw archiveError(path, 'is damaged', 'make the archive again', error);
  }
  const digest: Digest = `sha256:${packed.digest('hex')}`;
  const diffId: Digest = compression === 'none' ? digest : `sha256:${unpacked.digest('hex')}`;
  return { compression, digest, diffId, length };
}
