/** What registries and people say of images: references, manifests, configs, challenges, platforms. */
import assert from 'node:assert/strict';
import { parseConfig } from '../../../src/oci/image-config.js';
import { EntryError } from '../../../src/oci/layers/errors.js';
import { meaningOf } from '../../../src/oci/layers/names.js';
import { parseDocument, parseStoredManifest } from '../../../src/oci/manifest.js';
import { ACCEPTED, bareMediaType, OCI_MANIFEST } from '../../../src/oci/media-types.js';
import { parseChallenges } from '../../../src/oci/registry/challenge.js';
import { parseRetryAfter } from '../../../src/oci/registry/retries.js';
import { fitness, hostPlatform, parsePlatform, platformText } from '../../../src/oci-names/platform.js';
import { parseReference, referenceText } from '../../../src/oci-names/reference.js';
import { parseRootImage, rootImageText } from '../../../src/oci-names/root-image.js';
import { SandboxError } from '../../../src/util/errors.js';
import { valueOrRefusal } from './support/expect.js';
import type { Target } from './support/target.js';

const READERS: readonly ((data: Buffer) => void)[] = [
  (data) => {
    const reference = valueOrRefusal(() => parseReference(data.toString()), SandboxError);
    if (reference === undefined) return;
    // A URL takes it as it is.
    assert.equal(new URL(`https://${reference.registry}/v2/`).host, reference.registry.replace(/:443$/, ''));
    assert.deepEqual(parseReference(referenceText(reference)), reference);
  },
  (data) => {
    const image = valueOrRefusal(() => parseRootImage(data.toString()), SandboxError);
    if (image !== undefined) assert.deepEqual(parseRootImage(rootImageText(image)), image);
  },
  (data) => {
    const declared = ACCEPTED[(data[0] ?? 0) % 5];
    const parsed = valueOrRefusal(() => parseDocument(data.subarray(1), declared, 'x'), SandboxError);
    const stored = valueOrRefusal(() => parseStoredManifest(data.subarray(1), 'x'), SandboxError);
    if (parsed?.kind === 'manifest' && declared === OCI_MANIFEST) assert.deepEqual(stored, parsed);
  },
  (data) => {
    const config = { mediaType: 'x', digest: 'sha256:x' as const, size: 1, platform: undefined, annotations: {} };
    valueOrRefusal(() => parseConfig(data, { kind: 'manifest', config, layers: [] }, 'x'), SandboxError);
  },
  (data) => {
    for (const { scheme, parameters } of parseChallenges(data.toString('latin1'))) {
      assert.ok(scheme === 'basic' || scheme === 'bearer');
      for (const value of Object.values(parameters)) assert.equal(typeof value, 'string');
    }
    const time = parseRetryAfter(data.toString('latin1'));
    assert.ok(time === undefined || time >= 0);
    assert.doesNotMatch(bareMediaType(data.toString('latin1')), /[A-Z;]/);
  },
  (data) => {
    const platform = valueOrRefusal(() => parsePlatform(data.toString()), SandboxError);
    if (platform === undefined) return;
    assert.deepEqual(parsePlatform(platformText(platform)), platform);
    assert.equal(fitness(platform, platform), 100);
    assert.ok(fitness(platform, hostPlatform()) >= 0);
  },
  (data) => {
    const meaning = valueOrRefusal(() => meaningOf(data.toString('latin1')), EntryError);
    const parts = meaning !== undefined && 'directory' in meaning ? meaning.directory : [];
    for (const part of parts) assert.ok(part !== '' && part !== '.' && part !== '..' && !/[/\0]/.test(part));
  },
];

export const target: Target = {
  kind: 'sync',
  mostBytes: 2048,
  quickRuns: 20_000,
  repeats: true,
  read(data) {
    READERS[(data[0] ?? 0) % READERS.length]?.(data.subarray(1));
  },
};
