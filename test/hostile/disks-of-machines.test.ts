/**
 * Promise: a QEMU that its guest has taken over reaches no other sandbox with a disk, and nobody's disk but its own.
 * The attacker runs as the user of a QEMU with a disk. The victims are another QEMU with a disk, and that disk. Nothing
 * of a disk's own owner and mode changes for that.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, lstatSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { QEMU_IDS } from '../../src/util/qemu-ids.js';
import { embedded, system } from '../helpers/connections.js';
import { ext4Of, loopDevice } from '../helpers/images.js';
import { assertNothingLeft, exceptLogs, ROOT_STATE, uniqueName } from '../helpers/leftovers.js';
import { makeRoot, unlessBusybox } from '../helpers/roots.js';
import { assertFailure, runSandbox } from '../helpers/run.js';
import { freshDirectory, scratchDirectory } from '../helpers/scratch.js';
import { attacksOn, below, can, diskPathOf, endMachine, startMachine } from '../helpers/taken-over.js';

/** A user of the host who owns the disks. */
const OWNER = 4321;

function makeDisk(directory: string, name: string): string {
  const path = join(directory, name);
  writeFileSync(path, Buffer.alloc(1 << 20), { mode: 0o600 });
  chownSync(path, OWNER, OWNER);
  return path;
}

/** Changes with each chown(2), chmod(2) and label. */
function inodeOf(path: string): string {
  const { uid, gid, mode, ctimeNs } = statSync(path, { bigint: true });
  return `${uid}:${gid} ${mode.toString(8)} ${ctimeNs}`;
}

/** How many filters of system calls a process has. */
function filtersOf(pid: number): number {
  return Number(/^Seccomp_filters:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

function ownerOf(path: string): number[] {
  const { uid, gid, mode } = statSync(path);
  return [uid, gid, mode & 0o777];
}

/** A directory whose file system cannot be mounted with other owners; undefined where the host has no overlays. */
function overlay(t: TestContext): string | undefined {
  const directory = freshDirectory();
  const remove = () => rmSync(directory, { recursive: true });
  const [lower = '', upper = '', work = '', merged = ''] = ['l', 'u', 'w', 'm'].map((name) => join(directory, name));
  for (const path of [lower, upper, work, merged]) mkdirSync(path);
  const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
  try {
    execFileSync('mount', ['-t', 'overlay', '-o', options, 'overlay', merged], { stdio: 'pipe' });
  } catch {
    remove();
    return undefined;
  }
  t.after(() => {
    execFileSync('umount', [merged]);
    remove();
  });
  return merged;
}

for (const way of [embedded, system]) {
  describe(`QEMUs with disks over ${way.uri}`, { skip: way.skip }, () => {
    it('reach neither each other nor the disk of the other, and change the mode of none', async (t) => {
      const directory = scratchDirectory(t);
      const [own, others] = [makeDisk(directory, 'own'), makeDisk(directory, 'others')];
      const unchanged = inodeOf(others);
      const [attacker, victim] = await Promise.all([
        startMachine(t, { way }, '--disk', `file:a=${own}`),
        startMachine(t, { way }, '--boot', 'cold', '--disk', `file:a=${others}`),
      ]);
      assert.notEqual(attacker.uid, victim.uid);
      for (const { uid } of [attacker, victim]) assert.ok(uid > QEMU_IDS.first, String(uid));
      for (const [name, script] of Object.entries(attacksOn(attacker))) assert.ok(can(attacker, script), name);
      for (const [name, script] of Object.entries(attacksOn(victim))) assert.ok(!can(attacker, script), name);
      // Its launcher writes files there meanwhile, under other names first.
      for (const path of below(join(ROOT_STATE, victim.name)))
        if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === false)
          assert.ok(!can(attacker, `test -w '${path}'`), path);
      assert.equal(inodeOf(others), unchanged);
      // By the user's path, and where its QEMU has it.
      const path = diskPathOf(victim);
      for (const script of [`head -c 1 ${path}`, `: >>${path}`]) {
        assert.ok(can(victim, script, victim), script);
        assert.ok(!can(attacker, script, victim), script);
        assert.ok(!can(attacker, script), script);
      }
      assert.ok(!can(attacker, `head -c 1 ${others}`));
      await endMachine(victim, way);
      assert.deepEqual(ownerOf(others), [OWNER, OWNER, 0o600]);
      // It changes the mode of no disk, of which a program would come that runs as its owner. Its user may. Its filter of
      // system calls does not let it: test/unit/init/qemu-wall tries that.
      assert.ok(can(attacker, `chmod 600 ${diskPathOf(attacker)}`, attacker));
      const plain = await startMachine(t, { way });
      assert.equal(filtersOf(attacker.pid), filtersOf(plain.pid) + 1);
      await endMachine(attacker, way);
      await endMachine(plain, way);
    });

    it('are not given what an image names', async (t) => {
      const directory = scratchDirectory(t);
      const secret = makeDisk(directory, 'secret');
      const unchanged = inodeOf(secret);
      const image = join(directory, 'a.qcow2');
      execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', secret, '-F', 'raw', image]);
      const result = await runSandbox(['-c', way.uri, '--disk', `file:a=${image}`, '--', 'true']);
      assertFailure(
        result,
        new RegExp(`has the backing file "${secret}", which libvirt would give`),
        /qemu-img convert/,
      );
      assert.equal(inodeOf(secret), unchanged);
    });

    it('read one image together, and do not write to it', async (t) => {
      const image = makeDisk(scratchDirectory(t), 'image');
      const unchanged = inodeOf(image);
      const disk = ['--disk', `file:a=${image},ro`];
      const machines = await Promise.all([1, 2].map(() => startMachine(t, { way }, ...disk)));
      assert.equal(new Set(machines.map(({ uid }) => uid)).size, 2);
      for (const machine of machines) {
        const path = diskPathOf(machine);
        assert.ok(can(machine, `head -c 1 ${path}`, machine));
        assert.ok(!can(machine, `: >>${path}`, machine));
      }
      for (const machine of machines) await endMachine(machine, way);
      assert.equal(inodeOf(image), unchanged);
    });

    it('refuse an image that another one writes to, by the path that the user gave, until it ends', async (t) => {
      const image = makeDisk(scratchDirectory(t), 'image');
      const unchanged = inodeOf(image);
      const writer = await startMachine(t, { way }, '--disk', `file:a=${image}`);
      // Whether libvirt's order to run comes before the state is loaded is chance, and decides who looks at the lock.
      for (const option of ['', ',ro', ',ro', ',ro', ',ro']) {
        const disk = ['--disk', `file:a=${image}${option}`];
        const name = uniqueName();
        const second = await runSandbox(['-c', way.uri, '-n', name, ...disk, '--', 'true']);
        const said = assertFailure(second, /Failed to get (shared )?"write" lock/, /end what uses that image/);
        // The first where QEMU opens it as it starts, the other where it gets the lock when it has restored a snapshot.
        assert.ok(said.includes(`using the image [${image}]`) || said.includes(`lock of ${image}`), said);
        await assertNothingLeft(name, exceptLogs(way.where));
      }
      // And leave it as it was when the launcher is killed.
      writer.running.child.kill('SIGKILL');
      await assertNothingLeft(writer.name, exceptLogs(way.where));
      assert.equal(inodeOf(image), unchanged);
      await endMachine(await startMachine(t, { way }, '--disk', `file:a=${image}`), way);
    });

    it('have a user of their own where an image is the root', { skip: unlessBusybox }, async (t) => {
      const content = makeRoot(t, 'dev', 'mnt', 'proc', 'run', 'sys', 'tmp');
      const image = ext4Of(content, join(scratchDirectory(t), 'root.img'));
      const machine = await startMachine(t, { way }, '--boot', 'cold', '-m', `host-image:/=${image}`);
      assert.ok(machine.uid > QEMU_IDS.first, String(machine.uid));
      await endMachine(machine, way);
    });

    for (const [what, make] of [
      ['an overlay', (t: TestContext) => overlay(t)],
      ['a block device', (t: TestContext) => loopDevice(t, makeDisk(scratchDirectory(t), 'disk'))],
    ] as const) {
      it(`share a user with ${what}, which cannot be given to one`, async (t) => {
        const made = make(t);
        if (made === undefined) {
          t.skip(`the host has not ${what} to spare`);
          return;
        }
        const disk = statSync(made).isDirectory() ? makeDisk(made, 'disk') : made;
        const type = disk === made ? 'block' : 'file';
        const machine = await startMachine(t, { way }, '-v', '--disk', `${type}:a=${disk}`);
        assert.equal(machine.uid, QEMU_IDS.first);
        const why = disk === made ? `${disk} is no regular file` : `disk ${disk}: Invalid argument`;
        const said = machine.running.stderr();
        assert.ok(said.includes('virt-sandbox: disks: ') && said.includes(why), said);
        await endMachine(machine, way);
        if (type === 'file') assert.deepEqual(ownerOf(disk), [OWNER, OWNER, 0o600]);
      });
    }
  });
}
