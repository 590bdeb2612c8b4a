/** Archives of services that nobody who exports one has, and that they are refused. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { formatManifest, type Manifest } from '../../src/service/archive/manifest.js';
import { formatService, loadService } from '../../src/service/file.js';
import type { ServiceRoots } from '../../src/service/paths.js';
import { imported } from './archiving.js';
import { makeTestService, servicesIn } from './making-services.js';
import { scratchDirectory, WITH_ATTRIBUTES } from './scratch.js';
import { END_OF_TAR, type TarMember, tarMember } from './tar-members.js';

const MACHINE: Manifest['state'] = { type: 'directory', overlay: { kind: 'machine', root: '/' } };

export interface Ground {
  readonly directory: string;
  readonly roots: ServiceRoots;
  /** A file that nobody is to change. */
  readonly victim: string;
  readonly config: string;
}

export async function ground(t: TestContext): Promise<Ground> {
  const directory = scratchDirectory(t, WITH_ATTRIBUTES);
  const roots = servicesIn(directory);
  const victim = join(directory, 'victim');
  writeFileSync(victim, 'whole', { mode: 0o600 });
  await makeTestService(roots, 'model');
  const { config, settings } = await loadService(roots, 'model');
  return { directory, roots, victim, config: await formatService({ config, settings }) };
}

interface Made {
  readonly state?: Manifest['state'];
  readonly config?: string;
  readonly members?: readonly TarMember[];
  readonly end?: Buffer;
}

export const FRAME: readonly TarMember[] = [
  { name: 'layers/', flag: '5', mode: 0o700 },
  { name: 'layers/upper/', flag: '5' },
];

export function archiveOf(config: string, { state = MACHINE, members = FRAME, end = END_OF_TAR }: Made = {}): Buffer {
  const head = [
    { name: 'service.json', content: formatManifest({ version: 1, name: 'web', state }) },
    { name: 'sandbox.cfg', content: config },
  ];
  return Buffer.concat([...[...head, ...members].map(tarMember), end]);
}

/** It is refused, nothing of it is left, and nothing outside has changed. */
export async function refused({ directory, roots, victim }: Ground, archive: Buffer, code: RegExp, message?: RegExp) {
  const before = readdirSync(directory).sort();
  await assert.rejects(imported(roots, 'web', archive), (error: Error & { code?: string; remedy?: string }) => {
    assert.match(error.code ?? String(error), code, error.message);
    if (message) assert.match(error.message, message);
    assert.ok((error.remedy ?? '').length > 0);
    return true;
  });
  assert.equal(readFileSync(victim, 'utf8'), 'whole');
  assert.equal(statSync(victim).nlink, 1);
  assert.deepEqual(readdirSync(directory).sort(), before);
  const isOther = (name: string) => !/^(?:model|\.model\.lock|\.ports)$/.test(name);
  for (const path of [roots.services, roots.directories, roots.images])
    assert.deepEqual(readdirSync(path).filter(isOther), [], path);
}

export const REFUSED = /^service-archive-refused$/;
export const INVALID = /^service-archive-invalid$/;

export const inUpper = (...members: readonly TarMember[]) => [...FRAME, ...members];

/** An archive with an image that was made so. */
export async function withImage(
  t: TestContext,
  make: (path: string, at: Ground) => void,
  state = '/x.qcow2',
): Promise<[Ground, Buffer]> {
  const at = await ground(t);
  const { config, settings } = await loadService(at.roots, 'model');
  const overlay = { type: 'image', path: state } as const;
  const text = await formatService({ config: { ...config, overlay }, settings });
  const path = join(at.directory, 'made.qcow2');
  make(path, at);
  const members = [{ name: 'state.qcow2', content: readFileSync(path) }];
  return [at, archiveOf(text, { state: { type: 'image' }, members })];
}
