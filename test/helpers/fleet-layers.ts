/** Layers of boot images in registries, for tests without a registry. */
import { LAYER_TYPE } from '../../src/fleet/artifact/document.js';
import { TITLE } from '../../src/fleet/artifact/files.js';
import type { Descriptor } from '../../src/oci/manifest.js';
import { digestOf } from '../../src/oci-names/digest.js';

/** What errors call the artifact. */
export const ARTIFACT = 'registry.test/boot:v1';

/** The layer of a file, whose content does not matter. */
export function layerNamed(title: string, size = 100): Descriptor {
  const digest = digestOf(Buffer.from(title));
  return { mediaType: LAYER_TYPE, digest, size, platform: undefined, annotations: { [TITLE]: title } };
}

export async function* inPieces(content: Buffer, length: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += length) yield content.subarray(at, at + length);
}

export async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}
