/**
 * Promise: nobody but root and a QEMU that has it reads the file system of an image that root runs, though the host tells
 * everybody its name; and nobody gets into the new directories of a sandbox by having the number of a user inside. The
 * attackers are another user of the host, one with the number of the image's user, and root in another container that
 * sees the host's files. The victims are the store of images, and a sandbox's new directory.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { embedded, enterLxc, lxc, system, type Way } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { assertNothingLeft, exceptLogs, ROOT_STATE, uniqueName } from '../helpers/leftovers.js';
import { mountGround } from '../helpers/mount-point.js';
import { LoopedStore } from '../helpers/oci/looped-store.js';
import { busyboxImage, unlessBusyboxImage } from '../helpers/oci/root-images.js';
import { type Running, startSandbox } from '../helpers/run.js';
import { can, startMachine } from '../helpers/taken-over.js';

const NOBODY = 65_534;
/** Of the image, and perhaps of somebody else on the host. */
const WEB = 1234;
const SECRET = 'of the image';

/** A container has memory of its own at /tmp. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-hostile-private-');
const cache = join(ground, 'cache');
let image = '';

before(() => {
  chmodSync(ground, 0o755);
  mkdirSync(cache, { mode: 0o755 });
  image = busyboxImage(join(ground, 'image'), [{ name: 'etc/key', data: SECRET, mode: 0o600 }]);
});
after(() => rmSync(ground, { recursive: true, force: true }));

/** How a program is run in the mount namespace of a store; empty: in this one. */
type Through = readonly string[];

function outputOf(through: Through, ...command: readonly string[]): string {
  const [program = '', ...args] = [...through, ...command];
  return execFileSync(program, args, { encoding: 'latin1', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1 << 26 });
}

/** The file systems of a store. */
function rootsIn(store: string, through: Through = []): string[] {
  const roots = join(store, 'virt-sandbox/oci/roots');
  return outputOf(through, 'find', roots, '-name', 'root.erofs').split('\n').filter(Boolean);
}

function asUser(uid: number): string[] {
  return ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--'];
}

/** Whether a user of the host can do that. */
function may(uid: number, ...command: readonly string[]): boolean {
  return mayThrough([], uid, ...command);
}

function mayThrough(through: Through, uid: number, ...command: readonly string[]): boolean {
  const [program = '', ...args] = [...through, ...asUser(uid), ...command];
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

/** What the host tells everybody of the images that are mounted: by loop devices, links and command lines. */
function toldToAll(store: string, through: Through): string[] {
  const script = [
    'cat /sys/block/loop*/loop/backing_file',
    'readlink /run/libvirt-sandbox/*/disk* /run/libvirt-sandbox/*/*/disk*',
    "cat /proc/[0-9]*/cmdline | tr '\\0\",=' '\\n'",
    'true',
  ];
  const told = outputOf(through, ...asUser(NOBODY), 'sh', '-c', script.join('; ')).split('\n');
  return [...new Set(told.filter((path) => path.startsWith(store) && path.endsWith('/root.erofs')))];
}

/**
 * Nobody but root has them, by no path.
 * @returns the paths that everybody is told
 */
function assertClosed(store: string, through: Through = []): string[] {
  const [paths, told] = [rootsIn(store, through), toldToAll(store, through)];
  assert.equal(paths.length, 1);
  for (const path of [...paths, ...told]) {
    assert.ok(outputOf(through, 'cat', path).includes(SECRET), path);
    for (const name of ['root.erofs', 'root.json', 'passwd'])
      for (const uid of [NOBODY, WEB]) assert.ok(!mayThrough(through, uid, 'cat', join(path, '..', name)), path);
  }
  return told;
}

async function waiting(
  t: TestContext,
  way: Way,
  words: readonly string[] = [],
  env: Readonly<Record<string, string>> = { XDG_CACHE_HOME: cache },
): Promise<{ name: string; running: Running }> {
  const name = uniqueName();
  const args = ['-c', way.uri, '-n', name, '--root', image, ...words, '--', 'sh', '-c', 'echo up; read line'];
  const running = startSandbox(args, { ...way.options, env, input: 'open' });
  t.after(() => running.child.kill('SIGTERM'));
  await running.until(/^up\n/);
  return { name, running };
}

async function end({ name, running }: { name: string; running: Running }, way: Way): Promise<void> {
  running.child.stdin?.end('\n');
  assert.equal((await running.result).code, 0);
  await assertNothingLeft(name, exceptLogs(way.where));
}

describe('an image that root runs in a container', { skip: lxc.skip || unlessBusyboxImage }, () => {
  it('is read by no other user of the host, and nor are its new directories', async (t) => {
    const sandbox = await waiting(t, lxc, ['--user', 'web', '-m', 'host-bind:/scratch=']);
    assertClosed(cache);
    const state = join(ROOT_STATE, sandbox.name);
    const fresh = join(state, 'closed/mount1');
    assert.equal(statSync(fresh).uid, WEB);
    assert.ok(may(WEB, 'test', '-d', state));
    assert.ok(!may(WEB, 'ls', fresh));
    assert.ok(!may(WEB, 'touch', join(fresh, 'planted')));
    assert.ok(!may(NOBODY, 'ls', join(state, 'closed')));
    await end(sandbox, lxc);
  });

  it('is read by no other user of the host by the name that everybody is told', {
    skip: unlessProgram('losetup', 'blkid'),
  }, async (t) => {
    const looped = new LoopedStore();
    t.after(() => looped.remove());
    const sandbox = await waiting(t, lxc, ['--user', 'web'], looped.env);
    const told = assertClosed(looped.env.XDG_CACHE_HOME, enterLxc);
    assert.deepEqual(told, rootsIn(looped.env.XDG_CACHE_HOME, enterLxc));
    await end(sandbox, lxc);
  });

  it('is read by no other container, which does not see the store', async (t) => {
    const sandbox = await waiting(t, lxc);
    const [path = ''] = rootsIn(cache);
    const store = join(cache, 'virt-sandbox');
    const facts = {
      store: `ls -A ${store}`,
      read: `head -c 1 ${path}`,
      seen: `ls ${ground}`,
    };
    for (const words of [[], ['--overlay'], ['-S', 'nobody'], ['-p']]) {
      const options = { ...lxc.options, env: { XDG_CACHE_HOME: cache }, stderr: /^$|no barrier/ };
      const found = await ask(['-c', lxc.uri, ...words], facts, options);
      assert.deepEqual([found.store, found.seen], ['', 'cache\nimage']);
      assert.match(found.read, /No such file or directory$/);
    }
    await end(sandbox, lxc);
  });
});

/** A file system that cannot be mounted with other owners. */
function overlaid(t: TestContext): string {
  const directory = mountGround(t, 'm');
  const [lower = '', upper = '', work = '', merged = ''] = ['l', 'u', 'w', 'm'].map((name) => join(directory, name));
  for (const path of [lower, upper, work, merged]) mkdirSync(path);
  const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
  execFileSync('mount', ['-t', 'overlay', '-o', options, 'overlay', merged]);
  return merged;
}

for (const way of [embedded, system])
  describe(`an image that root runs over ${way.uri}`, { skip: way.skip || unlessBusyboxImage }, () => {
    it('is read by its QEMU, and by no other user of the host', async (t) => {
      const machine = await startMachine(t, { way, cache }, '--root', image);
      assertClosed(cache);
      const roots = join(cache, 'virt-sandbox/oci/roots');
      assert.deepEqual(
        [statSync(roots).mode & 0o777, statSync(join(rootsIn(cache)[0] ?? '', '..')).mode & 0o777],
        [0o700, 0o700],
      );
      await end(machine, way);
    });

    it('is read by the group of its QEMU alone, where it cannot be given to that as a disk', async (t) => {
      const other = overlaid(t);
      // What was fetched before is fetched again.
      const machine = await startMachine(t, { way, cache: other }, '--root', image);
      const [path = ''] = rootsIn(other);
      assert.ok(can(machine, `head -c 1 ${path}`));
      assert.ok(!can(machine, `ls ${join(path, '../..')}`));
      assert.ok(!can(machine, `test -w ${path} || test -w ${join(path, '..')}`));
      assert.deepEqual(assertClosed(other), [path]);
      await end(machine, way);
    });
  });
