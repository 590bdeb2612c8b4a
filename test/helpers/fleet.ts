/** Boot images that are pushed to a registry and pulled from it. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { OCI_MANIFEST } from '../../src/oci/media-types.js';
import { makeCache, removeCache } from './cache.js';
import type { RunResult } from './run.js';

/** What `virt-sandbox-bake push --json` prints. */
export interface Pushed {
  readonly reference: string;
  readonly digest: string;
  readonly id: string;
  readonly size: number;
  readonly sent: number;
  readonly snapshots: readonly string[];
  readonly signed: boolean;
}

/** What `virt-sandbox-bake pull --json` prints. */
export interface Pulled {
  readonly reference: string;
  readonly name?: string;
  readonly digest: string;
  readonly id: string;
  readonly directory: string;
  readonly fresh: boolean;
  readonly received: number;
  readonly snapshots: readonly { readonly directory: string; readonly fresh: boolean }[];
  readonly left: readonly { readonly path: string; readonly reason: string }[];
  readonly kernelVersion: string;
  readonly sets: readonly string[];
}

export function storeOf(cache: string): string {
  return join(cache, 'virt-sandbox/images');
}

/** What a store has that is neither an image nor belongs to the store itself: what was half-made. */
export function halfMadeIn(cache: string): string[] {
  const store = storeOf(cache);
  const images = readdirSync(store).filter((name) => /^[0-9a-f]{32}$/.test(name));
  return [
    ...readdirSync(store).filter((name) => name.startsWith('.build-')),
    ...images.flatMap((id) => namesIn(join(store, id, 'warm')).filter((name) => name.startsWith('.'))),
  ];
}

/** An empty store of images. @returns its XDG_CACHE_HOME */
export function emptyStore(context: Pick<TestContext, 'after'>): string {
  const directory = makeCache();
  context.after(() => removeCache(directory));
  return directory;
}

export interface UnusedReference {
  readonly reference: string;
  /** Whether it is there by now. */
  isThere(): Promise<boolean>;
}

/** A reference that nothing was pushed to, with the name of the test. */
export function unusedReference({ name }: Pick<TestContext, 'name'>, { host }: { host: string }): UnusedReference {
  const repository = `boot/it-${name.replaceAll(/[^a-z]+/g, '-')}x`.replaceAll(/-+/g, '-');
  return { reference: `${host}/${repository}:1`, isThere: () => hasTag(host, repository) };
}

/** Whether a registry has the tag 1 in a repository. */
export async function hasTag(host: string, repository: string): Promise<boolean> {
  const { status } = await fetch(`http://${host}/v2/${repository}/manifests/1`, { headers: { accept: OCI_MANIFEST } });
  assert.ok(status === 200 || status === 404, String(status));
  return status === 200;
}

/** Images that a store has. */
export function imagesIn(cache: string): string[] {
  return namesIn(storeOf(cache)).filter((name) => /^[0-9a-f]{32}$/.test(name));
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Asserts that virt-sandbox-bake failed with one line: message and remedy. */
export function assertBakeFailure({ code, out, stderr }: RunResult, ...patterns: readonly RegExp[]): void {
  assert.match(stderr, /^virt-sandbox-bake: [a-z]+: [^\n;]+[^\n]*; [^\n]+\n$/);
  for (const pattern of patterns) assert.match(stderr, pattern);
  assert.deepEqual({ code, out }, { code: 125, out: '' }, stderr);
}
