/** Whoever kills the process that makes a clone, or one of those that it starts, at any step leaves nothing half made. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { makeOverlayDirectory } from '../../src/sandbox/devices/overlay-directory.js';
import { deleteService } from '../../src/service/delete.js';
import { serviceNames } from '../../src/service/list.js';
import type { ServiceRoots } from '../../src/service/paths.js';
import { killedAt, unlessTraced } from '../helpers/killing.js';
import { makeTestService, servicesIn } from '../helpers/making-services.js';
import { programOf } from '../helpers/programs.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../helpers/scratch.js';

const ID = `${'1'.repeat(32)}\n`;

/** What changes something, or is done by a program that is started for it. Each is counted in each process. */
const CALLS = [
  'flock',
  'mkdir',
  'mkdirat',
  'mount',
  'copy_file_range',
  'symlinkat',
  'syncfs',
  'fchown',
  'fchmod',
  'fsync',
  'rename',
];

/** More than any is called. */
const MOST = 20;

/** For one clone. */
const LONGEST_MS = 60_000;

async function served(t: TestContext): Promise<{ directory: string; roots: ServiceRoots }> {
  const directory = scratchDirectory(t, WITH_ATTRIBUTES);
  const roots = servicesIn(directory);
  const { config } = await makeTestService(roots, 'web', { sandbox: { publish: ['48080:80'] } });
  makeOverlayDirectory(join(roots.directories, 'web'), config, { mode: 0o755, uid: 0, gid: 0 });
  const upper = join(roots.directories, 'web/layers/upper');
  for (const name of ['etc', 'a', 'a/b']) mkdirSync(join(upper, name));
  writeFileSync(join(upper, 'etc/machine-id'), ID);
  writeFileSync(join(upper, 'a/b/data'), 'of web');
  execFileSync('ln', ['-s', 'data', join(upper, 'a/b/link')]);
  return { directory, roots };
}

function cloned(directory: string, call?: string, when = 1) {
  const traced = call === undefined ? [] : killedAt(call, when);
  const [program = '', ...words] = [...traced, process.execPath, programOf('cloning'), directory, 'web', 'web2'];
  return spawnSync(program, words, { encoding: 'utf8', timeout: LONGEST_MS });
}

/** @returns whether the clone is there, and then whole */
function isWhole(roots: ServiceRoots): boolean {
  if (!serviceNames(roots).includes('web2')) return false;
  const upper = join(roots.directories, 'web2/layers/upper');
  assert.equal(readFileSync(join(upper, 'a/b/data'), 'utf8'), 'of web');
  assert.notEqual(readFileSync(join(upper, 'etc/machine-id'), 'utf8'), ID);
  return true;
}

async function assertSteps(t: TestContext, call: string): Promise<void> {
  const { directory, roots } = await served(t);
  let kills = 0;
  for (let when = 1; when <= MOST; when += 1) {
    const { status, signal, stderr } = cloned(directory, call, when);
    const isDone = status === 0;
    assert.ok(signal === 'SIGKILL' || status === 0 || status === 1, `${signal ?? status} ${stderr}`);
    if (!isDone) kills += 1;
    const text = `${call} ${when}: ${signal ?? status} ${stderr}`;
    assert.ok(isWhole(roots) || !isDone, text);
    // The next call finishes it, or begins anew.
    const again = isWhole(roots) ? undefined : cloned(directory);
    assert.equal(again?.status ?? 0, 0, `${text}: ${again?.stderr}`);
    assert.ok(isWhole(roots), text);
    assert.deepEqual((await deleteService(roots, 'web2', async () => {})).kept, [], text);
    const left = (path: string) => readdirSync(path).filter((name) => !/^(?:web|\.web\.lock|\.ports)$/.test(name));
    for (const path of [roots.services, roots.directories, roots.images]) assert.deepEqual(left(path), [], text);
    assert.equal(readFileSync(join(roots.directories, 'web/layers/upper/etc/machine-id'), 'utf8'), ID);
    if (isDone) {
      assert.ok(kills > 0, `nothing is killed at ${call}`);
      return;
    }
  }
  assert.fail(`${call} is called more than ${MOST} times`);
}

const skip = unlessRoot('it copies what others own') || unlessTraced();

describe('a clone that is killed', { skip }, () => {
  for (const call of CALLS) it(`leaves nothing half made: ${call}`, (t) => assertSteps(t, call));
});
