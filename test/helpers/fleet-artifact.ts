/** Artifacts of boot images that anybody may have made, for a registry that does what a test wants. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ARTIFACT_TYPE, EMPTY_CONFIG, LAYER_TYPE } from '../../src/fleet/artifact/document.js';
import { TITLE } from '../../src/fleet/artifact/files.js';
import type { Manifest } from '../../src/image/manifest.js';
import { OCI_MANIFEST } from '../../src/oci/media-types.js';
import { descriptorOf, type TestBlob, testBlob } from './oci/image.js';
import type { TestRegistry } from './oci/registry.js';

/** A file of an artifact: its packed bytes. */
export interface TestFile {
  readonly title: string;
  readonly blob: TestBlob;
}

/** @param content of the file, or a command whose output is it */
export function packedFile(title: string, content: Buffer | string): TestFile {
  const packed =
    typeof content === 'string'
      ? execFileSync('sh', ['-c', `${content} | zstd -q -c`], { maxBuffer: 1 << 30 })
      : execFileSync('zstd', ['-q', '-c'], { input: content, maxBuffer: 1 << 30 });
  return { title, blob: testBlob(LAYER_TYPE, packed) };
}

/** The files of an image in a directory, as a push would have them, with those of a snapshot of it. */
export function filesOf(image: string, warm?: string): TestFile[] {
  const { kernel } = JSON.parse(readFileSync(join(image, 'manifest.json'), 'utf8')) as Pick<Manifest, 'kernel'>;
  const pack = (title: string, path: string) => packedFile(title, `cat '${path}'`);
  return [
    ...['manifest.json', kernel.file, 'initrd'].map((name) => pack(name, join(image, name))),
    ...(warm === undefined
      ? []
      : ['warm.json', 'memory', 'state'].map((name) => pack(`warm/0/${name}`, join(warm, name)))),
  ];
}

/** Puts an artifact of these files under a tag of the registry. @param changes fields of its manifest */
export function addArtifact(
  registry: TestRegistry,
  tag: string,
  files: readonly TestFile[],
  changes: object = {},
): void {
  const config = testBlob('application/vnd.oci.empty.v1+json', EMPTY_CONFIG);
  const manifest = testBlob(OCI_MANIFEST, {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType: ARTIFACT_TYPE,
    config: descriptorOf(config),
    layers: files.map(({ title, blob }) => ({ ...descriptorOf(blob), annotations: { [TITLE]: title } })),
    ...changes,
  });
  const layers = files.map(({ blob }) => blob);
  registry.add({ manifest, config, layers, blobs: [manifest, config, ...layers] }, tag);
}
