/** Images for tests, as their blobs. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST } from '../../../src/oci/media-types.js';
import { type Digest, digestOf } from '../../../src/oci-names/digest.js';

export interface TestBlob {
  readonly digest: Digest;
  readonly size: number;
  readonly mediaType: string;
  readonly bytes: Buffer;
}

export interface TestImage {
  readonly manifest: TestBlob;
  readonly config: TestBlob;
  readonly layers: readonly TestBlob[];
  /** All of these. */
  readonly blobs: readonly TestBlob[];
}

export function testBlob(mediaType: string, content: Buffer | object): TestBlob {
  const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
  return { digest: digestOf(bytes), size: bytes.length, mediaType, bytes };
}

export function descriptorOf({ mediaType, digest, size }: TestBlob): object {
  return { mediaType, digest, size };
}

export type TestCompression = 'none' | 'gzip' | 'zstd';

const PACK: Readonly<Record<TestCompression, (data: Buffer) => Buffer>> = {
  none: (data) => data,
  gzip: (data) => gzipSync(data),
  zstd: (data) => execFileSync('zstd', ['-q', '-c'], { input: data, maxBuffer: 1 << 30 }),
};

export interface TestImageOptions {
  readonly compression?: TestCompression;
  readonly architecture?: string;
  /** The field `config` of the config. */
  readonly config?: object;
  /** Further fields of the config's document: `created`, `history`. */
  readonly document?: object;
  /** In place of the digests of the layers. */
  readonly diffIds?: readonly string[];
}

/** An image of layers that are tar archives. */
export function testImage(tars: readonly Buffer[], options: TestImageOptions = {}): TestImage {
  const { compression = 'gzip' } = options;
  const ending = compression === 'none' ? '' : `+${compression}`;
  const layers = tars.map((tar) => testBlob(`${OCI_LAYER}${ending}`, PACK[compression](tar)));
  return imageOfLayers(layers, options.diffIds ?? tars.map((tar) => digestOf(tar)), options);
}

/** An image of layers that are packed already. @param diffIds the digests of what they unpack to */
export function imageOfLayers(
  layers: readonly TestBlob[],
  diffIds: readonly string[],
  options: Pick<TestImageOptions, 'architecture' | 'config' | 'document'> = {},
): TestImage {
  const config = testBlob(OCI_CONFIG, {
    ...options.document,
    os: 'linux',
    architecture: options.architecture ?? 'amd64',
    config: options.config ?? { Cmd: ['/bin/true'] },
    rootfs: { type: 'layers', diff_ids: diffIds },
  });
  const manifest = testBlob(OCI_MANIFEST, {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: descriptorOf(config),
    layers: layers.map(descriptorOf),
  });
  return { manifest, config, layers, blobs: [manifest, config, ...layers] };
}

/** An index of documents, each with its platform. */
export function testIndex(entries: readonly { readonly blob: TestBlob; readonly platform?: string }[]): TestBlob {
  return testBlob(OCI_INDEX, {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: entries.map(({ blob, platform }) => {
      const [os, architecture, variant] = platform?.split('/') ?? [];
      return { ...descriptorOf(blob), ...(platform === undefined ? {} : { platform: { os, architecture, variant } }) };
    }),
  });
}

/** Writes an OCI image layout: OCI image specification, image-layout.md. */
export function writeLayout(
  directory: string,
  blobs: readonly TestBlob[],
  tops: readonly { readonly blob: TestBlob; readonly tag?: string }[],
): void {
  mkdirSync(join(directory, 'blobs', 'sha256'), { recursive: true });
  writeFileSync(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  for (const { digest, bytes } of blobs) writeFileSync(join(directory, 'blobs', ...digest.split(':')), bytes);
  const manifests = tops.map(({ blob, tag }) => ({
    ...descriptorOf(blob),
    ...(tag === undefined ? {} : { annotations: { 'org.opencontainers.image.ref.name': tag } }),
  }));
  writeFileSync(join(directory, 'index.json'), JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
}
