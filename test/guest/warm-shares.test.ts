/** Directories that virtiofs serves to restored machines. */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, system } from '../helpers/connections.js';
import { guestInit } from '../helpers/guest-init.js';
import { unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { assertFailure, assertRun, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { bakeSnapshot, privateStore, recordOf } from '../helpers/snapshots.js';
import { USUAL, USUAL_SLOTS, type UsualSnapshot, usualSnapshot } from '../helpers/usual-snapshot.js';

const WARM = [...ACCEL, '--boot', 'warm'];

const FACTS = {
  types: `awk '$2 ~ "^/(mnt|srv|opt)$" {print $2, $3, substr($4, 1, 2)}' /proc/mounts`,
  write: 'hostname > /mnt/file; mkdir -m 750 /mnt/dir; chown 1234:5678 /mnt/dir; mkfifo /mnt/pipe',
  read: 'cat /srv/file',
  refused: 'touch /srv/x',
  fresh: 'ls -A /opt; touch /opt/x && ls /opt',
  // Fills the page cache, and makes virtiofsd reach much of the memory.
  large:
    'head -c 16M /dev/zero | tr "\\0" x > /mnt/large; tr -d x < /mnt/large | wc -c; stat -c %s /mnt/large; rm /mnt/large',
  devices: 'ls /sys/bus/virtio/drivers/virtiofs | grep -c ^virtio',
} as const;

const unlessServed = embedded.skip || unlessProgram('virtiofsd');

describe('shares of a snapshot over virtiofs, as root', { skip: unlessServed }, () => {
  let snapshot: UsualSnapshot | undefined;
  let env: UsualSnapshot['env'] = {};
  before(async () => {
    snapshot = await usualSnapshot();
    env = snapshot.env;
    assert.ok(recordOf(snapshot.baked).sets.includes('root-virtiofs'));
  });
  after(() => snapshot?.remove());

  for (const way of [embedded, system]) {
    it(`are separate for two sandboxes over ${way.uri}, and keep owners and modes`, { skip: way.skip }, async (t) => {
      // QEMU's arguments have the comma of the second twice.
      const two = [uniqueName(), `${uniqueName()},b`].map((name) => ({ name, directory: scratchDirectory(t) }));
      const found = await Promise.all(
        two.map(({ name, directory }) => {
          for (const part of ['rw', 'ro']) mkdirSync(join(directory, part), { mode: 0o755 });
          // Readable to root only.
          writeFileSync(join(directory, 'ro/file'), `from the host, to ${name}`, { mode: 0o600 });
          const mounts = [`host-bind:/mnt=${directory}/rw`, `host-bind:/srv=${directory}/ro,ro`, 'host-bind:/opt='];
          const args = [...WARM, '-c', way.uri, '-n', name, '-p', ...mounts.flatMap((mount) => ['-m', mount])];
          return ask(args, FACTS, { env });
        }),
      );
      for (const [index, { name, directory }] of two.entries()) {
        assert.deepEqual(found[index], {
          types: '/mnt virtiofs rw\n/srv virtiofs ro\n/opt virtiofs rw',
          write: '',
          read: `from the host, to ${name}`,
          refused: "touch: cannot touch '/srv/x': Read-only file system",
          fresh: 'x',
          large: `0\n${16 << 20}`,
          // With that of the root.
          devices: '4',
        });
        // Its host name has no comma.
        assert.equal(readFileSync(join(directory, 'rw/file'), 'utf8'), `${name.replace(',', '-')}\n`);
        const made = statSync(join(directory, 'rw/dir'));
        assert.deepEqual([made.uid, made.gid, made.mode & 0o777], [1234, 5678, 0o750]);
        assert.ok(statSync(join(directory, 'rw/pipe')).isFIFO());
        await assertNothingLeft(name, way.where);
        assertNoMemoryOf(name);
      }
    });
  }
});

describe('shares of a snapshot for a root over 9p, as root', { skip: unlessServed }, () => {
  const { env, remove } = privateStore();
  before(async () => {
    await bakeSnapshot(['-c', embedded.uri, ...USUAL], { env }, ['--root-fs', '9p']);
  });
  after(remove);

  it('may be the root, and need no slots', async () => {
    const targets = ['/mnt', '/srv', '/opt', '/media', '/home'];
    assert.ok(targets.length > USUAL_SLOTS.mounts);
    const mounts = ['host-bind:/=/,ro', ...targets.map((target) => `host-bind:${target}=`)];
    const args = [...WARM, '-c', embedded.uri, ...mounts.flatMap((mount) => ['-m', mount])];
    const facts = {
      root: `awk '$2 == "/" {print $3}' /proc/mounts | tail -n 1`,
      user: 'id -u; test -e /etc/passwd',
      others: `awk '$2 ~ "^/(mnt|srv|opt|media|home)$" {print $3}' /proc/mounts`,
    };
    const others = targets.map(() => 'virtiofs').join('\n');
    assert.deepEqual(await ask(args, facts, { env }), { root: 'virtiofs', user: '0', others });
  });

  it('fall back to a cold boot, or to 9p, when virtiofsd cannot reach the memory', { skip: system.skip }, async (t) => {
    const options = { env, through: ['setpriv', '--bounding-set', '-sys_ptrace', '--'] };
    const name = uniqueName();
    const args = [...ACCEL, '-c', system.uri, '-n', name];
    const booted = await runSandbox([...args, '-v', '-m', 'host-bind:/mnt=', '--', 'touch', '/mnt/x'], options);
    assert.equal(booted.code, 0, booted.stderr);
    assert.match(
      booted.stderr,
      /^virt-sandbox: boot: cold, because it has a mount that virtiofs serves.*CAP_SYS_PTRACE/m,
    );
    await assertNothingLeft(name, system.where);

    const directory = scratchDirectory(t);
    writeFileSync(join(directory, 'file'), 'hello');
    const read = ['--boot', 'warm', '-m', `host-bind:/mnt=${directory},ro`, '--', 'cat', '/mnt/file'];
    assertRun(await runSandbox([...args, ...read], options), 0, 'hello');
    const write = ['--boot', 'warm', '-m', `host-bind:/mnt=${directory}`, '--', 'true'];
    assertFailure(await runSandbox([...args, ...write], options), /CAP_SYS_PTRACE.*; leave out --boot warm$/);
  });
});

describe('shares of a snapshot with the common init in the guest', { skip: unlessServed }, () => {
  it('are mounted by it', async (t) => {
    const { args: inside, env, remove } = await guestInit();
    t.after(remove);
    const directory = scratchDirectory(t);
    const args = [...WARM, '-c', embedded.uri, ...inside, '-m', `host-bind:/mnt=${directory}`];
    const facts = { write: 'echo inside > /mnt/file; cat /mnt/file' };
    assert.deepEqual(await ask(args, facts, { env }), { write: 'inside' });
    assert.equal(readFileSync(join(directory, 'file'), 'utf8'), 'inside\n');
  });
});

/** libvirt creates a file for memory that the machine does not use; expects it to be gone. */
function assertNoMemoryOf(name: string): void {
  const directory = '/var/lib/libvirt/qemu/ram';
  const names = existsSync(directory) ? readdirSync(directory) : [];
  assert.deepEqual(
    names.filter((each) => each.includes(name)),
    [],
  );
}
