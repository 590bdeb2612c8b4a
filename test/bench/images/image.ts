/** The image of the benchmark `images` as blobs. They are packed while they are made, and only that is kept. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { createGzip } from 'node:zlib';
import { OCI_LAYER } from '../../../src/oci/media-types.js';
import type { Digest } from '../../../src/oci-names/digest.js';
import { imageOfLayers, type TestBlob, type TestImage, testBlob } from '../../helpers/oci/image.js';
import { benchLayers } from './content.js';

/** Bytes that are packed at a time. */
const PIECE = 1 << 20;

/**
 * @param more archives that are layers above its own
 * @returns two images of the same layers
 */
export async function benchImages(more: readonly Buffer[] = []): Promise<readonly [TestImage, TestImage]> {
  const layers = await Promise.all([...benchLayers(), ...more.map((archive) => [archive])].map(packed));
  const image = (config: object) =>
    imageOfLayers(
      layers.map(({ blob }) => blob),
      layers.map(({ diffId }) => diffId),
      { config },
    );
  return [image({ Cmd: ['/bin/true'] }), image({ Cmd: ['/bin/false'] })];
}

async function packed(archive: Iterable<Buffer>): Promise<{ readonly blob: TestBlob; readonly diffId: Digest }> {
  const hash = createHash('sha256');
  const pieces = function* () {
    for (const piece of inPieces(archive)) {
      hash.update(piece);
      yield piece;
    }
  };
  const bytes = await buffer(Readable.from(pieces(), { objectMode: false }).pipe(createGzip()));
  return { blob: testBlob(`${OCI_LAYER}+gzip`, bytes), diffId: `sha256:${hash.digest('hex')}` as Digest };
}

/** The same bytes in pieces of one size: small ones cost more than what is done with them. */
function* inPieces(small: Iterable<Buffer>): Generator<Buffer> {
  let piece = Buffer.allocUnsafeSlow(PIECE);
  let length = 0;
  for (const one of small) {
    for (let at = 0; at < one.length; ) {
      const count = one.copy(piece, length, at);
      at += count;
      length += count;
      if (length < PIECE) continue;
      yield piece;
      piece = Buffer.allocUnsafeSlow(PIECE);
      length = 0;
    }
  }
  if (length > 0) yield piece.subarray(0, length);
}
