/** What serves the root of root's machine: 9p or virtiofs. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { SandboxPool } from '../../src/index.js';
import { ACCEL, ACCELERATION } from '../helpers/acceleration.js';
import { embedded, system } from '../helpers/connections.js';
import { lackingKernel, unlessLackingKernel } from '../helpers/kernels.js';
import { assertNothingLeft, exceptLogs, qemuOf, uniqueName } from '../helpers/leftovers.js';
import { DAEMON, OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { BY_DEFAULT, rootServersOf, TYPE, VIRTIOFS } from '../helpers/root-fs.js';
import { assertFailure, assertRun, runSandbox, startSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';
import { type UsualSnapshot, usualSnapshot } from '../helpers/usual-snapshot.js';
import { gone } from '../unit/init/native/machine.js';

/** The numbers of a process's user and group. */
function userOf(pid: number): string[] {
  const text = readFileSync(`/proc/${pid}/status`, 'latin1');
  return [/^Uid:\t(\d+)/m, /^Gid:\t(\d+)/m].map((pattern) => pattern.exec(text)?.[1] ?? '');
}

for (const way of [embedded, system]) {
  describe(`a root over virtiofs over ${way.uri}`, { skip: way.skip }, () => {
    let usual: UsualSnapshot;
    before(async () => {
      usual = await usualSnapshot();
    });
    after(() => usual?.remove());

    for (const boot of ['cold', 'warm'])
      it(`is the host's, read-only, without what is root's alone: ${boot}`, async () => {
        const script = `${TYPE}; cat /etc/hostname; head -c 1 /etc/shadow; ls /run /tmp; touch /etc/x`;
        const args = ['-p', '--boot', boot, ...VIRTIOFS, '--', 'sh', '-c', `{ ${script}; } 2>&1`];
        const { code, out } = await runSandbox(['-c', way.uri, ...ACCEL, ...args], { env: usual.env });
        assert.equal(code, 1, out);
        const [, mounted, hostname] = out.split('\n');
        assert.deepEqual([mounted?.trim(), hostname], ['virtiofs ro', readFileSync('/etc/hostname', 'utf8').trim()]);
        assert.match(out, /shadow.*Permission denied/);
        assert.match(out, /^\/run:\n\n\/tmp:\n/m);
        assert.match(out, /'\/etc\/x': Read-only file system/);
      });

    it('has a server of a user that is nobody else, which ends with it', async (t) => {
      const name = uniqueName();
      const args = ['-c', way.uri, ...ACCEL, '-n', name, ...VIRTIOFS, '--', 'sh', '-c', 'echo up; read line; exit 3'];
      const running = startSandbox(args, { env: usual.env, input: 'open' });
      t.after(() => running.child.kill('SIGKILL'));
      await running.until(/up/);
      const [ofQemu] = userOf(qemuOf(name) ?? 0);
      const servers = rootServersOf(name);
      for (const server of servers) {
        const [uid, gid] = userOf(server);
        assert.ok(uid === gid && uid !== '0' && uid !== ofQemu, `${uid} and ${gid}, and ${ofQemu} of QEMU`);
      }
      running.child.stdin?.end('\n');
      assertRun(await running.result, 3, 'up\n');
      await assertNothingLeft(name, way.where);
      for (const server of servers) await gone(server);
    });

    it('sees what the host changes, whole', async (t) => {
      // Not in /tmp, which a sandbox has of its own.
      const directory = mkdtempSync('/var/tmp/virt-sandbox-root-fs-');
      t.after(() => rmSync(directory, { recursive: true, force: true }));
      chmodSync(directory, 0o755);
      const file = join(directory, 'file');
      writeFileSync(file, 'old\n');
      const script = `cat ${file}; until grep -q end ${file}; do sleep 0.1; done; cat ${file}; stat -c %s ${file}`;
      const args = ['-c', way.uri, ...ACCEL, ...VIRTIOFS, '--', 'sh', '-c', script];
      const running = startSandbox(args, { env: usual.env });
      t.after(() => running.child.kill('SIGKILL'));
      await running.until(/old/);
      writeFileSync(join(directory, 'next'), 'longer\nend\n');
      renameSync(join(directory, 'next'), file);
      assertRun(await running.result, 0, 'old\nlonger\nend\n11\n');
    });

    it('can have an overlay, with a root that has mounts below', async () => {
      const script =
        'echo of the overlay >/etc/hostname; rm /usr/bin/env; cat /etc/hostname; ls /usr/bin/env; ls -d /proc/1';
      const args = ['-c', way.uri, ...ACCEL, '-p', ...VIRTIOFS, '--overlay', '--', 'sh', '-c', script];
      const { code, out, stderr } = await runSandbox(args, { env: usual.env });
      assert.deepEqual([code, out], [0, 'of the overlay\n/proc/1\n'], stderr);
    });

    for (const [what, command] of [
      ['', 'exec cat'],
      [', which it reads', 'while :; do ls -lR /usr/share >/dev/null; done'],
      [', which it has mapped', 'while :; do perl -e 1; echo 3 >/proc/sys/vm/drop_caches; done'],
    ] as const)
      it(`ends the sandbox with its server${what}`, async () => {
        const name = uniqueName();
        const args = ['-c', way.uri, ...ACCEL, '-p', '-n', name, ...VIRTIOFS, '--', 'sh', '-c', `echo up; ${command}`];
        const running = startSandbox(args, { env: usual.env, input: 'open' });
        await running.until(/up/);
        process.kill(rootServersOf(name)[0] ?? 0, 'SIGKILL');
        const { code, stderr } = await running.result;
        assert.equal(code, 125);
        assert.match(stderr, /^virt-sandbox: application: the server of \/ died, and with it the mount; /);
        await assertNothingLeft(name, exceptLogs(way.where));
      });
  });
}

describe('a kernel without 9p', { skip: embedded.skip || unlessLackingKernel }, () => {
  const { env, remove } = privateStore();
  after(remove);
  const run = (...args: readonly string[]) =>
    runSandbox(['-c', embedded.uri, ...ACCEL, '--kernver', lackingKernel ?? '', ...args], { env });

  it('has its root over virtiofs', async () => {
    const { code, out, stderr } = await run('-v', '--', 'sh', '-c', `uname -r; ${TYPE}`);
    assert.equal(code, 0, stderr);
    assert.deepEqual(out.split(/[\n ]+/), [lackingKernel, 'fuse', 'virtiofs', 'ro', '']);
    assert.match(stderr, BY_DEFAULT);
  });

  it('has a snapshot, too', async () => {
    const { slots } = await bakeSnapshot(['-c', embedded.uri, '--kernver', lackingKernel ?? ''], { env });
    assert.deepEqual(slots, { mounts: 0, disks: 0, networks: 0 });
    assertRun(await run('--boot', 'warm', '--', 'uname', '-r'), 0, `${lackingKernel}\n`);
  });
});

describe('a pool with its root over virtiofs', { skip: embedded.skip }, () => {
  it('gives sandboxes that read it', async () => {
    const pool = await SandboxPool.create({
      size: 1,
      connect: embedded.uri,
      rootFs: 'virtiofs',
      acceleration: ACCELERATION,
    });
    try {
      await using sandbox = await pool.take();
      const { stdout } = await sandbox.run(['sh', '-c', 'stat -f -c %T /usr; cat /etc/hostname']);
      assert.equal(stdout, `fuse\n${readFileSync('/etc/hostname', 'utf8').trim()}\n`);
    } finally {
      await pool.close();
    }
  });
});

describe('--root-fs', { skip: embedded.skip }, () => {
  it('is for the usual root: a mount that replaces it is served as ever', async (t) => {
    const root = scratchDirectory(t);
    for (const name of ['dev', 'proc', 'sys', 'tmp', 'run']) mkdirSync(join(root, name));
    for (const name of ['bin', 'lib', 'lib64']) symlinkSync(`usr/${name}`, join(root, name));
    mkdirSync(join(root, 'usr'));
    writeFileSync(join(root, 'file'), 'of another root\n');
    const other = ['-r', root, '-m', 'host-bind:/usr=/usr,ro'];
    const args = ['-c', embedded.uri, ...ACCEL, ...VIRTIOFS, ...other, '--', 'cat', '/file'];
    assertRun(await runSandbox(args), 0, 'of another root\n');
  });

  it('is virtiofs by default, and -v says why', async (t) => {
    const { env, remove } = await usualSnapshot();
    t.after(remove);
    for (const boot of ['cold', 'warm']) {
      const args = ['-v', '-c', embedded.uri, ...ACCEL, '--boot', boot, '--', 'stat', '-f', '-c', '%T', '/usr'];
      const { code, out, stderr } = await runSandbox(args, { env });
      assert.deepEqual([code, out], [0, 'fuse\n'], stderr);
      assert.match(stderr, BY_DEFAULT);
    }
  });

  it('is 9p by default for a user whose server cannot be started', { skip: unlessOrdinaryUser() }, async (t) => {
    const user = await OrdinaryUser.create({ emptyStore: true, account: DAEMON });
    t.after(() => user.end());
    // One namespace is allowed, and the view has another one in it: no setting says so.
    const script = 'echo 1 >/proc/sys/user/max_user_namespaces && exec setpriv --ambient-caps=-all "$@"';
    const within = ['unshare', '--user', '--map-current-user', '--keep-caps', '--', 'sh', '-c', script, 'sh'];
    const options = { ...user.options, through: [...(user.options.through ?? []), ...within] };
    const args = ['-v', '-c', embedded.uri, ...ACCEL, '--', 'sh', '-c', 'echo once; findmnt -n -o FSTYPE /'];
    const { code, out, stderr } = await runSandbox(args, options);
    assert.deepEqual([code, out], [0, 'once\n9p\n'], stderr);
    assert.match(stderr, /^virt-sandbox: root: over 9p, because .*namespace/m);
    const asked = await runSandbox([...args.slice(0, -4), ...VIRTIOFS, ...args.slice(-4)], options);
    assertFailure({ ...asked, stderr: asked.stderr.replace(/^virt-sandbox: (?!domain: ).*\n/gm, '') }, /namespace/);
  });

  it('says what is not one, and what this user cannot have', { skip: unlessOrdinaryUser() }, async (t) => {
    assertFailure(
      await runSandbox(['--root-fs', 'nfs', '--', 'true']),
      /--root-fs cannot be "nfs"/,
      /auto, 9p or virtiofs/,
    );
    const user = await OrdinaryUser.create();
    t.after(() => user.end());
    // The setting is that of a user namespace, and its capabilities are gone when the program starts.
    const script = 'echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --ambient-caps=-all "$@"';
    const within = ['unshare', '--user', '--map-current-user', '--keep-caps', '--', 'sh', '-c', script, 'sh'];
    const options = { ...user.options, through: [...(user.options.through ?? []), ...within] };
    assertFailure(
      await runSandbox(['-c', embedded.uri, ...VIRTIOFS, '--', 'true'], options),
      /its server needs a user namespace, and this host allows none \(user\.max_user_namespaces=0\)/,
      /allow user namespaces on this host \(docs\/security\.md\), or leave out --root-fs/,
    );
  });
});
