/** Whoever kills the process that imports a service, or one of those that it starts, at any step leaves nothing half made. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { makeOverlayDirectory } from '../../src/sandbox/devices/overlay-directory.js';
import { deleteService } from '../../src/service/delete.js';
import { serviceNames } from '../../src/service/list.js';
import type { ServiceRoots } from '../../src/service/paths.js';
import { exported } from '../helpers/archiving.js';
import { withImage } from '../helpers/hostile-archives.js';
import { unlessProgram } from '../helpers/images.js';
import { assertKilledAt, assertMadeAtEveryStep, killedAt, othersThan, unlessTraced } from '../helpers/killing.js';
import { makeTestService, servicesIn } from '../helpers/making-services.js';
import { programOf } from '../helpers/programs.js';
import { runSandbox } from '../helpers/run.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../helpers/scratch.js';

const ID = `${'1'.repeat(32)}\n`;

/** What changes something, or is done by tar(1). Each is counted in each process. */
const CALLS = ['mkdir', 'mkdirat', 'mount', 'symlinkat', 'linkat', 'link', 'syncfs', 'fchown', 'fsync', 'rename'];

interface Ground {
  readonly directory: string;
  readonly roots: ServiceRoots;
  readonly archive: string;
}

async function ground(t: TestContext): Promise<Ground> {
  const directory = scratchDirectory(t, WITH_ATTRIBUTES);
  const roots = servicesIn(directory);
  const { config } = await makeTestService(roots, 'web', { sandbox: { publish: ['48081:80'] } });
  makeOverlayDirectory(join(roots.directories, 'web'), config, { mode: 0o755, uid: 0, gid: 0 });
  const upper = join(roots.directories, 'web/layers/upper');
  for (const name of ['etc', 'a', 'a/b']) mkdirSync(join(upper, name));
  writeFileSync(join(upper, 'etc/machine-id'), ID);
  writeFileSync(join(upper, 'a/b/data'), 'of web');
  execFileSync('ln', ['-s', 'data', join(upper, 'a/b/link')]);
  execFileSync('ln', [join(upper, 'a/b/data'), join(upper, 'a/b/hard')]);
  const archive = join(directory, 'web.tar');
  writeFileSync(archive, await exported(roots, 'web'));
  assert.deepEqual((await deleteService(roots, 'web', async () => {})).kept, []);
  return { directory, roots, archive };
}

function imported({ directory, archive }: Ground, through: readonly string[] = []) {
  return runSandbox([programOf('importing'), directory, archive, 'web2'], { program: process.execPath, through });
}

/** @returns whether the service is there, and then whole */
function isWhole(roots: ServiceRoots): boolean {
  if (!serviceNames(roots).includes('web2')) return false;
  const upper = join(roots.directories, 'web2/layers/upper');
  assert.equal(readFileSync(join(upper, 'a/b/link'), 'utf8'), 'of web');
  assert.equal(readFileSync(join(upper, 'a/b/hard'), 'utf8'), 'of web');
  assert.match(readFileSync(join(upper, 'etc/machine-id'), 'utf8'), /^(?!1{32})[0-9a-f]{32}\n$/);
  return true;
}

/** @param others calls that need not be made */
async function assertSteps(t: TestContext, calls: readonly string[], others: readonly string[] = []): Promise<void> {
  const at = await ground(t);
  const { roots } = at;
  const left = (path: string) => readdirSync(path).filter((name) => name !== '.ports');
  const killed = await assertMadeAtEveryStep([...calls, ...others], {
    run: (through) => imported(at, through),
    isThere: () => isWhole(roots),
    remove: async () => assert.deepEqual((await deleteService(roots, 'web2', async () => {})).kept, []),
    left: () => [roots.services, roots.directories, roots.images].flatMap(left),
  });
  assertKilledAt(killed, calls);
}

const skip = unlessRoot('it unpacks what others own') || unlessTraced();

describe('an import that is killed', { skip }, () => {
  for (const call of CALLS) it(`leaves nothing half made: ${call}`, (t) => assertSteps(t, [call]));

  const others = othersThan(CALLS);
  if (others.length > 0) it('leaves nothing half made at any other call', (t) => assertSteps(t, [], others));
});

/** What writes an image, before anybody looks at it. */
const IMAGE_CALLS = ['pwrite64', 'ftruncate', 'fdatasync'];

describe('an import of an image that is killed', { skip: skip || unlessProgram('qemu-img') }, () => {
  for (const call of IMAGE_CALLS)
    it(`leaves nothing behind the next one: ${call}`, async (t) => {
      const qemuImg = (...words: readonly string[]) => execFileSync('qemu-img', words, { stdio: 'ignore' });
      // It is refused when it is there, so no machine starts.
      const [{ directory, roots }, content] = await withImage(t, (path) => {
        qemuImg('create', '-f', 'qcow2', path, '1M');
        qemuImg('snapshot', '-c', 's', path);
      });
      const at = { directory, roots, archive: join(directory, 'web.tar') };
      writeFileSync(at.archive, content);
      const killed = await imported(at, killedAt({ call, when: 1 }));
      assert.equal(killed.signal, 'SIGKILL', killed.stderr);
      assert.notDeepEqual(readdirSync(roots.images), []);
      assert.match((await imported(at)).stderr, /service-archive-refused/);
      assert.deepEqual(readdirSync(roots.images), []);
      assert.deepEqual(
        readdirSync(roots.services).filter((name) => name.includes('web2')),
        [],
      );
    });
});
