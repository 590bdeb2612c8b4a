/** What serves the root of an ordinary user's machine: 9p or virtiofs. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { lackingKernel, unlessLackingKernel } from '../helpers/kernels.js';
import { assertNothingLeft, exceptLogs, qemuOf, uniqueName } from '../helpers/leftovers.js';
import { DAEMON, OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { BY_DEFAULT, rootServersOf, TYPE, VIRTIOFS } from '../helpers/root-fs.js';
import { runSandbox, startSandbox } from '../helpers/run.js';
import { bakeSnapshot } from '../helpers/snapshots.js';
import { gone } from '../unit/init/native/machine.js';

for (const uri of ['qemu:///session', 'qemu:///embed']) {
  describe(`a root over virtiofs of an ordinary user over ${uri}`, { skip: unlessOrdinaryUser() }, () => {
    let user: OrdinaryUser;
    before(async () => {
      user = await OrdinaryUser.create({ emptyStore: true, account: DAEMON });
      await bakeSnapshot(['-c', uri, '--with', 'root-virtiofs'], { ...user.options, env: cacheOf(user) });
    });
    after(() => user?.end());
    const cacheOf = ({ home, options }: OrdinaryUser) => ({ ...options.env, XDG_CACHE_HOME: join(home, '.cache') });
    const args = (...more: readonly string[]) => ['-c', uri, ...ACCEL, ...VIRTIOFS, ...more];

    for (const boot of ['cold', 'warm'])
      it(`is the host's, read-only, root's files root's, without what is hidden: ${boot}`, async () => {
        const script = `${TYPE}; cat /etc/hostname; stat -c %u:%g /etc/passwd; head -c 1 /etc/shadow; ls /run /tmp; touch /etc/x`;
        const words = args('-p', '--boot', boot, '--', 'sh', '-c', `{ ${script}; } 2>&1`);
        const { code, out, stderr } = await runSandbox(words, user.options);
        assert.equal(code, 1, out + stderr);
        const [, mounted, hostname, owner] = out.split('\n');
        assert.deepEqual(
          [mounted?.trim(), hostname, owner],
          ['virtiofs ro', readFileSync('/etc/hostname', 'utf8').trim(), '0:0'],
        );
        assert.match(out, /shadow.*Permission denied/);
        assert.match(out, /^\/run:\n\n\/tmp:\n/m);
        assert.match(out, /'\/etc\/x': Read-only file system/);
      });

    it("shows the user's own files as its own, and those of all others as root's", async (t) => {
      const directory = mkdtempSync('/var/tmp/virt-sandbox-root-fs-');
      t.after(() => rmSync(directory, { recursive: true, force: true }));
      chmodSync(directory, 0o755);
      const owners: readonly (readonly [name: string, uid: number, gid: number])[] = [
        ['own', user.uid, user.gid],
        ['of-root', 0, 0],
        ['of-a-third', 54_400, 54_401],
        ['of-nobody', 65_534, 65_534],
      ];
      for (const [name, uid, gid] of owners) {
        writeFileSync(join(directory, name), '');
        chownSync(join(directory, name), uid, gid);
      }
      const paths = owners.map(([name]) => join(directory, name));
      const { code, out, stderr } = await runSandbox(args('-v', '--', 'stat', '-c', '%u:%g', ...paths), user.options);
      assert.deepEqual([code, out], [0, '1:1\n0:0\n0:0\n0:0\n'], stderr);
      assert.match(stderr, /^virt-sandbox: owners: files of all other users seem to be root's inside, /m);
    });

    it('can have an overlay', async () => {
      const script = 'echo of the overlay >/etc/hostname; cat /etc/hostname';
      const { code, out, stderr } = await runSandbox(args('-p', '--overlay', '--', 'sh', '-c', script), user.options);
      assert.deepEqual([code, out], [0, 'of the overlay\n'], stderr);
    });

    async function start(t: TestContext) {
      const name = uniqueName();
      const words = args('-n', name, '--', 'sh', '-c', 'echo up; exec cat');
      const running = startSandbox(words, { ...user.options, input: 'open' });
      t.after(() => running.child.kill('SIGKILL'));
      await running.until(/up/);
      return { name, running };
    }

    it('ends the sandbox with its server', async (t) => {
      const { name, running } = await start(t);
      process.kill(rootServersOf(name)[1] ?? 0, 'SIGKILL');
      const { code, stderr } = await running.result;
      assert.equal(code, 125);
      assert.match(stderr, /^virt-sandbox: application: the server of \/ died, and with it the mount; /);
      await assertNothingLeft(name, exceptLogs(user.where));
    });

    it('leaves no server when the launcher is killed, or QEMU', async (t) => {
      for (const who of ['launcher', 'QEMU']) {
        const { name, running } = await start(t);
        const servers = rootServersOf(name);
        // The launcher is a process of Node.js, which setpriv became.
        process.kill((who === 'QEMU' ? qemuOf(name) : running.child.pid) ?? 0, 'SIGKILL');
        await running.result;
        await assertNothingLeft(name, exceptLogs(user.where));
        for (const server of servers) await gone(server);
      }
    });
  });
}

describe('a kernel without 9p, for an ordinary user', { skip: unlessOrdinaryUser() || unlessLackingKernel }, () => {
  it('has its root over virtiofs', async (t) => {
    const user = await OrdinaryUser.create({ emptyStore: true, account: DAEMON });
    t.after(() => user.end());
    const args = ['-c', embedded.uri, ...ACCEL, '-v', '--kernver', lackingKernel ?? '', '--', 'uname', '-r'];
    const { code, out, stderr } = await runSandbox(args, user.options);
    assert.deepEqual([code, out], [0, `${lackingKernel}\n`], stderr);
    assert.match(stderr, BY_DEFAULT);
  });
});
