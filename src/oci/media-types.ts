/** Media types of OCI images and of Docker's older ones, which differ in nothing but their names. */
import { imageError, quoted } from '../oci-names/errors.js';

const OCI = 'application/vnd.oci.image';
const DOCKER = 'application/vnd.docker';

export const OCI_INDEX = `${OCI}.index.v1+json`;
export const OCI_MANIFEST = `${OCI}.manifest.v1+json`;
export const OCI_CONFIG = `${OCI}.config.v1+json`;
export const OCI_LAYER = `${OCI}.layer.v1.tar`;
export const DOCKER_LIST = `${DOCKER}.distribution.manifest.list.v2+json`;
export const DOCKER_MANIFEST = `${DOCKER}.distribution.manifest.v2+json`;
export const DOCKER_CONFIG = `${DOCKER}.container.image.v1+json`;

/**
 * What a request for a manifest accepts. All four are needed: to one that accepts anything, Debian's registry answers
 * 404 for an OCI manifest.
 */
export const ACCEPTED = [OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST] as const;

/** What a document is. `schema1`: Docker's oldest manifest, which has no config. */
export type DocumentKind = 'index' | 'manifest' | 'schema1' | 'unknown';

const KINDS: Readonly<Record<string, DocumentKind>> = {
  [OCI_INDEX]: 'index',
  [DOCKER_LIST]: 'index',
  [OCI_MANIFEST]: 'manifest',
  [DOCKER_MANIFEST]: 'manifest',
  [`${DOCKER}.distribution.manifest.v1+json`]: 'schema1',
  [`${DOCKER}.distribution.manifest.v1+prettyjws`]: 'schema1',
};

export function kindOf(mediaType: string): DocumentKind {
  return Object.hasOwn(KINDS, mediaType) ? (KINDS[mediaType] ?? 'unknown') : 'unknown';
}

/** A media type without parameters, in small letters: `Application/JSON; charset=utf-8` is `application/json`. */
export function bareMediaType(header: string): string {
  return (header.split(';', 1)[0] ?? '').trim().toLowerCase();
}

export function isConfigType(mediaType: string): boolean {
  return mediaType === OCI_CONFIG || mediaType === DOCKER_CONFIG;
}

/** How a layer is packed. */
export type LayerCompression = 'none' | 'gzip' | 'zstd';

const LAYERS: Readonly<Record<string, LayerCompression>> = {
  [OCI_LAYER]: 'none',
  [`${OCI_LAYER}+gzip`]: 'gzip',
  [`${OCI_LAYER}+zstd`]: 'zstd',
  [`${DOCKER}.image.rootfs.diff.tar`]: 'none',
  [`${DOCKER}.image.rootfs.diff.tar.gzip`]: 'gzip',
  [`${DOCKER}.image.rootfs.diff.tar.zstd`]: 'zstd',
};

/** Layers that registries do not have to hold, of Windows images mostly. */
const FOREIGN = /^application\/vnd\.(oci\.image\.layer\.nondistributable|docker\.image\.rootfs\.foreign)\./;

/**
 * How the layer of an image is packed.
 * @param which names the layer: `layer 3 of debian:13`
 * @throws {SandboxError} `layer-foreign`, `layer-type-unknown`
 */
export function layerCompression(mediaType: string, which: string): LayerCompression {
  const compression = Object.hasOwn(LAYERS, mediaType) ? LAYERS[mediaType] : undefined;
  if (compression !== undefined) return compression;
  if (FOREIGN.test(mediaType))
    throw imageError(
      'layer-foreign',
      `${which} is not distributed by registries (${mediaType})`,
      'use an image for Linux, or one that was pushed with all its layers',
    );
  throw imageError(
    'layer-type-unknown',
    `${which} has the media type ${quoted(mediaType)}, which is none of a file system`,
    'use an image whose layers are tar archives, plain or packed with gzip or zstd',
  );
}
