/** An upgrade of a service where there is no room for what the host has: the next one finishes it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { upgradeService } from '../../../../src/service/upgrade/upgrade.js';
import { SandboxError } from '../../../../src/util/errors.js';
import { FullDisk } from '../../../helpers/full-disk.js';
import { uniqueName } from '../../../helpers/leftovers.js';
import { makeTestService, servicesIn } from '../../../helpers/making-services.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';

const OLD = 'old\n';
const NEW = 'n'.repeat(20_000);

/** A service with copies of closed files, all of which the host has changed since. */
async function changed(t: TestContext, where: 'state' | 'service') {
  const directory = scratchDirectory(t, WITH_ATTRIBUTES);
  const disk = new FullDisk(t, 'size=1M');
  const roots = { ...servicesIn(directory), [where === 'state' ? 'directories' : 'services']: disk.path };
  const root = join(directory, 'root');
  mkdirSync(join(root, 'etc'), { recursive: true });
  const paths = ['one', 'two', 'three'].map((name) => join(root, 'etc', name));
  for (const path of paths) writeFileSync(path, OLD, { mode: 0o600 });
  const name = uniqueName();
  await makeTestService(roots, name, { copyPaths: ['/etc'], sandbox: { root } });
  const { upgraded } = { upgraded: () => upgradeService(roots, name) };
  const upper = join(roots.directories, name, 'layers/upper/etc');
  const contents = () => ['one', 'two', 'three'].map((file) => readFileSync(join(upper, file), 'utf8'));
  assert.deepEqual(contents(), [OLD, OLD, OLD]);
  for (const path of paths) writeFileSync(path, NEW);
  return { disk, roots, name, upper, contents, upgraded };
}

/** How many are in use. */
function inodesOf(path: string): number {
  const { files, ffree } = statfsSync(path);
  return files - ffree;
}

/** One message with path and remedy. */
const failure = (path: RegExp) => (error: unknown) => {
  assert.ok(error instanceof SandboxError, String(error));
  assert.equal(error.code, 'service-upgrade-failed');
  assert.match(error.message, path);
  assert.match(error.message, /ENOSPC/);
  assert.match(error.remedy, /^make room there, and upgrade it again/);
  return true;
};

describe('an upgrade on a full disk', { skip: unlessRoot('mounts') }, () => {
  it('leaves each file of the state as it was or as it is to be, and is finished by the next one', async (t) => {
    const { disk, roots, name, upper, contents, upgraded } = await changed(t, 'state');
    disk.fill();
    await assert.rejects(upgraded(), failure(/^".*\/upgrade"|^"\/etc\/[a-z]+"/));
    for (const content of contents()) assert.ok([OLD, NEW].includes(content), `${content.length} bytes`);
    assert.deepEqual(readdirSync(upper).sort(), ['one', 'three', 'two']);
    assert.ok(!readdirSync(join(roots.directories, name)).includes('upgrade'));
    disk.makeRoom();
    await upgraded();
    assert.deepEqual(contents(), [NEW, NEW, NEW]);
  });

  it('needs no room where nothing is to be replaced, and removes what a killed one has left', async (t) => {
    const { disk, roots, name, upgraded } = await changed(t, 'state');
    await upgraded();
    const drafts = join(roots.directories, name, 'upgrade');
    mkdirSync(drafts);
    writeFileSync(join(drafts, 'half'), '');
    disk.fill();
    execFileSync('mount', ['-o', `remount,nr_inodes=${inodesOf(disk.path)}`, disk.path]);
    assert.deepEqual([(await upgraded()).files, existsSync(drafts)], [[], false]);
    // Now nothing is there to make room by its removal.
    execFileSync('mount', ['-o', `remount,nr_inodes=${inodesOf(disk.path)}`, disk.path]);
    assert.throws(() => mkdirSync(drafts), { code: 'ENOSPC' });
    assert.deepEqual((await upgraded()).files, []);
  });

  it('is not done where that cannot be recorded, and the next one records it', async (t) => {
    const { disk, roots, name, contents, upgraded } = await changed(t, 'service');
    disk.fill();
    await assert.rejects(upgraded(), failure(/^what the host has now cannot be recorded in ".*"/));
    assert.deepEqual(
      readdirSync(join(roots.services, name)).filter((entry) => entry.endsWith('.tmp')),
      [],
    );
    disk.makeRoom();
    await upgraded();
    assert.deepEqual(contents(), [NEW, NEW, NEW]);
    assert.deepEqual((await upgraded()).files, []);
  });
});
