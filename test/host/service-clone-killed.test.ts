/** Whoever kills the process that makes a clone, or one of those that it starts, at any step leaves nothing half made. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { makeOverlayDirectory } from '../../src/sandbox/devices/overlay-directory.js';
import { deleteService } from '../../src/service/delete.js';
import { serviceNames } from '../../src/service/list.js';
import type { ServiceRoots } from '../../src/service/paths.js';
import { assertKilledAt, assertMadeAtEveryStep, othersThan, unlessTraced } from '../helpers/killing.js';
import { makeTestService, servicesIn } from '../helpers/making-services.js';
import { programOf } from '../helpers/programs.js';
import { runSandbox } from '../helpers/run.js';
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

/** @returns whether the clone is there, and then whole */
function isWhole(roots: ServiceRoots): boolean {
  if (!serviceNames(roots).includes('web2')) return false;
  const upper = join(roots.directories, 'web2/layers/upper');
  assert.equal(readFileSync(join(upper, 'a/b/data'), 'utf8'), 'of web');
  assert.notEqual(readFileSync(join(upper, 'etc/machine-id'), 'utf8'), ID);
  return true;
}

/** @param others calls that need not be made */
async function assertSteps(t: TestContext, calls: readonly string[], others: readonly string[] = []): Promise<void> {
  const { directory, roots } = await served(t);
  const left = (path: string) => readdirSync(path).filter((name) => !/^(?:web|\.web\.lock|\.ports)$/.test(name));
  const killed = await assertMadeAtEveryStep([...calls, ...others], {
    run: (through) =>
      runSandbox([programOf('cloning'), directory, 'web', 'web2'], { program: process.execPath, through }),
    isThere: () => isWhole(roots),
    remove: async () => assert.deepEqual((await deleteService(roots, 'web2', async () => {})).kept, []),
    left: () => {
      assert.equal(readFileSync(join(roots.directories, 'web/layers/upper/etc/machine-id'), 'utf8'), ID);
      return [roots.services, roots.directories, roots.images].flatMap(left);
    },
  });
  assertKilledAt(killed, calls);
}

const skip = unlessRoot('it copies what others own') || unlessTraced();

describe('a clone that is killed', { skip }, () => {
  for (const call of CALLS) it(`leaves nothing half made: ${call}`, (t) => assertSteps(t, [call]));

  const others = othersThan(CALLS);
  if (others.length > 0) it('leaves nothing half made at any other call', (t) => assertSteps(t, [], others));
});
