/**
 * Promise: what boots from the store is what was baked, whoever had a file of it before.
 * The attacker is a QEMU that its guest has taken over. libvirt once made its user the owner of a stored kernel, and it
 * has kept the file open. The victims are the sandboxes that start later.
 */

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, readdirSync, readFileSync, renameSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { bakeJson, runBake } from '../helpers/bake.js';
import { makeCache, removeCache } from '../helpers/cache.js';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { unlessServingKernel } from '../helpers/kernels.js';
import { assertNothingLeft, qemuOf, uniqueName } from '../helpers/leftovers.js';
import { writeBusyboxImage } from '../helpers/oci/busybox-image.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { PrivateLibvirt, unlessPrivateLibvirt } from '../helpers/private-libvirt.js';
import { assertFailure, assertRun, runSandbox, startSandbox } from '../helpers/run.js';

/** The user that had the files. */
const UID = 65_534;

/** What `uname -v` says of a kernel of Debian's, and of one that was changed in place. */
const GENUINE = '#1 SMP PREEMPT_DYNAMIC Debian';
const CHANGED = '#1 SMP PREEMPT_DYNAMIC Attack';

/** So the image that has a name is the one that a sandbox without a name for it has, too. */
const OVER_9P = ['--root-fs', '9p'];

/** Opens its argument for writing, says so, and writes a text at an offset for each line `OFFSET TEXT`. */
const WRITER = `
const fs = require('fs');
const file = fs.openSync(process.argv[1], 'r+');
console.log('open');
require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const [, at, text] = /^(\\d+) (.*)$/.exec(line);
  fs.writeSync(file, text, Number(at));
  console.log('written');
});`;

describe("a user that once had a file of root's store", { skip: embedded.skip || unlessServingKernel }, () => {
  let cache = '';
  let image = '';
  const offsets: number[] = [];
  before(async () => {
    cache = makeCache();
    image = (await bakeJson<{ image: string }>(cache, ['create', '--name', 'web', '--for', OVER_9P.join(' ')])).image;
    const kernel = readFileSync(join(image, 'vmlinux'));
    for (let at = kernel.indexOf(GENUINE); at >= 0; at = kernel.indexOf(GENUINE, at + 1)) offsets.push(at);
    assert.ok(offsets.length > 0);
  });
  after(() => removeCache(cache));

  /** Lends the kernel of the image to the attacker, who keeps it open. */
  async function lendKernel(t: TestContext): Promise<{ change: () => Promise<void> }> {
    const path = join(image, 'vmlinux');
    chownSync(path, UID, UID);
    chmodSync(path, 0o644);
    const words = [`--reuid=${UID}`, '--clear-groups', '--', process.execPath, '-e', WRITER, path];
    const child: ChildProcess = spawn('setpriv', words, { stdio: ['pipe', 'pipe', 'inherit'] });
    t.after(() => child.kill('SIGKILL'));
    assert.ok(child.stdout);
    await once(child.stdout, 'data');
    chownSync(path, 0, 0);
    chmodSync(path, 0o444);
    const change = async () => {
      for (const at of offsets) {
        child.stdin?.write(`${at} ${CHANGED}\n`);
        assert.ok(child.stdout);
        await once(child.stdout, 'data');
      }
    };
    return { change };
  }

  const start = (...options: readonly string[]) =>
    runSandbox(['-c', embedded.uri, ...ACCEL, ...OVER_9P, '--boot', 'cold', ...options, '--', 'uname', '-v'], {
      env: { XDG_CACHE_HOME: cache },
    });

  it('changes no kernel that a sandbox boots', async (t) => {
    const { change } = await lendKernel(t);
    await change();
    const named = await start('--image', 'web');
    assert.equal(named.out, '');
    assertFailure(named, /a file of the image in \S+ is not what its manifest says; bake it again with/);
    // Without a name the image is built again.
    assert.match((await start()).out, new RegExp(`^${GENUINE} `));
    // The attacker still writes to the file that it had.
    await change();
    assert.match((await start('--image', 'web')).out, new RegExp(`^${GENUINE} `));
    assert.equal((await runBake(cache, ['verify', 'web'])).code, 0);
  });

  it('changes none between the check and the boot', async (t) => {
    const { change } = await lendKernel(t);
    // It is as it was when it is checked: nobody knows what will become of it.
    const checked = await start('--image', 'web', '--dry-run');
    assert.equal(checked.code, 0, checked.stderr);
    await change();
    assert.match((await start('--image', 'web')).out, new RegExp(`^${GENUINE} `));
  });

  it('puts no link, and no directory of its own, in place of a file', async () => {
    const kernel = join(image, 'vmlinux');
    const copy = join(cache, 'copy');
    renameSync(kernel, copy);
    symlinkSync(copy, kernel);
    assertFailure(await start('--image', 'web', '--dry-run'), /vmlinux is a symbolic link/);
    assert.equal((await start('--dry-run')).code, 0);
    assert.ok(statSync(kernel).isFile());
    chownSync(image, UID, UID);
    assertFailure(await start('--image', 'web', '--dry-run'), /is not what its manifest says/);
    assert.equal((await start('--dry-run')).code, 0);
    assert.equal(statSync(image).uid, 0);
  });

  it('reads nothing when nothing has changed', { skip: unlessProgram('strace') }, async () => {
    assert.equal((await start('--dry-run')).code, 0);
    const trace = join(cache, 'trace');
    const result = await runSandbox(
      ['-c', embedded.uri, ...ACCEL, ...OVER_9P, '--boot', 'cold', '--dry-run', '--', 'true'],
      {
        env: { XDG_CACHE_HOME: cache },
        through: ['strace', '-f', '-e', 'trace=openat,open', '-o', trace],
      },
    );
    assert.equal(result.code, 0, result.stderr);
    const opened = readFileSync(trace, 'utf8')
      .split('\n')
      .filter((line) => line.includes(image));
    assert.ok(opened.some((line) => line.includes('manifest.json')));
    assert.deepEqual(
      opened.filter((line) => /vmlinux|initrd/.test(line)),
      [],
    );
  });
});

describe("an ordinary user's sandbox over qemu:///system", {
  skip: unlessOrdinaryUser() || unlessPrivateLibvirt() || unlessServingKernel,
}, () => {
  let user: OrdinaryUser;
  let lab: PrivateLibvirt;
  before(async () => {
    user = await OrdinaryUser.create({ emptyStore: true });
    lab = await PrivateLibvirt.start();
  });
  after(async () => {
    await lab?.end();
    await user.end();
  });

  it("has the root of an image, which stays that user's", async () => {
    const image = writeBusyboxImage(user.home, 'of an image\n');
    const options = { ...user.options, through: [...lab.through, ...(user.options.through ?? [])] };
    const words = ['-c', lab.uri, ...ACCEL, '--boot', 'cold', '--root', image, '--', 'cat', '/data'];
    assertRun(await runSandbox(words, options), 0, 'of an image\n');
    const store = join(user.home, '.cache/virt-sandbox');
    for (const path of readdirSync(store, { recursive: true, encoding: 'utf8' }))
      assert.equal(statSync(join(store, path)).uid, user.uid, path);
  });

  it('leaves the files of the store to that user, whom QEMU is not', async (t) => {
    const options = { ...user.options, through: [...lab.through, ...(user.options.through ?? [])] };
    const name = uniqueName();
    const words = ['-c', lab.uri, ...ACCEL, '-n', name, '--boot', 'cold', '--', 'sh', '-c', 'echo up; read line'];
    const running = startSandbox(words, { ...options, input: 'open' });
    t.after(() => running.child.kill('SIGTERM'));
    await running.until(/^up\n/);
    const pid = qemuOf(name);
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const [, uid = ''] = /^Uid:\t(\d+)/m.exec(status) ?? [];
    const [, gid = ''] = /^Gid:\t(\d+)/m.exec(status) ?? [];
    assert.notEqual(Number(uid), user.uid);
    const store = join(user.home, '.cache/virt-sandbox/images');
    const files = readdirSync(store, { recursive: true, encoding: 'utf8' })
      .map((path) => join(store, path))
      .filter((path) => statSync(path).isFile());
    assert.ok(files.some((path) => path.endsWith('/vmlinux')));
    for (const path of files) {
      assert.equal(statSync(path).uid, user.uid, path);
      const words = [
        `--reuid=${uid}`,
        `--regid=${gid}`,
        '--clear-groups',
        'sh',
        '-c',
        'chmod u+w "$0" && : >>"$0"',
        path,
      ];
      assert.throws(() => execFileSync('setpriv', words, { stdio: 'ignore' }), path);
    }
    running.child.stdin?.end('\n');
    assert.equal((await running.result).code, 0);
    await assertNothingLeft(name, { state: user.home });
  });
});
