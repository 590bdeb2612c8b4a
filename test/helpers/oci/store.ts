/** Stores of images for tests. */
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { pullImage } from '../../../src/oci/pull/pull.js';
import type { PullOptions } from '../../../src/oci/pull/types.js';
import { StorePaths } from '../../../src/oci/store/store-paths.js';
import { parsePlatform } from '../../../src/oci-names/platform.js';
import { parseRootImage, type RootImage } from '../../../src/oci-names/root-image.js';
import { scratchDirectory } from '../scratch.js';
import { IMPATIENT, imageIn, type TestRegistry } from './registry.js';

export const AMD64 = parsePlatform('amd64');

export interface TestStore {
  readonly paths: StorePaths;
  /** What pulls need: the store, and a user without a home. */
  readonly options: PullOptions;
  /** All files, but the locks and leases, by their paths in the store; long digests are cut. */
  files(): string[];
}

export function testStore(context: TestContext, directory = join(scratchDirectory(context), 'oci')): TestStore {
  const paths = new StorePaths(directory);
  paths.make();
  const environment = { HOME: scratchDirectory(context), PATH: process.env['PATH'] };
  return {
    paths,
    options: { paths, platform: AMD64, registry: { patience: IMPATIENT, environment } },
    files: () =>
      readdirSync(directory, { recursive: true, withFileTypes: true })
        .filter((entry) => !entry.isDirectory())
        .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
        .filter((path) => !/^(lock|turn|locks\/.*|roots\/\.leases\/.*)$/.test(path))
        .map((path) => path.replace(/[0-9a-f]{64}/g, (digits) => digits.slice(0, 6)))
        .sort(),
  };
}

/** Changes one byte of a file that nobody should write to. */
export function damage(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  chmodSync(path, 0o600);
  writeFileSync(path, bytes);
}

/** The image of a tag in a registry of tests. */
export function imageOf(registry: TestRegistry, tag = 'v1'): RootImage {
  return parseRootImage(`docker://${imageIn(registry, tag)}`);
}

export function pull(registry: TestRegistry, store: TestStore, tag = 'v1', more: PullOptions = {}) {
  return pullImage(imageOf(registry, tag), { ...store.options, ...more });
}
