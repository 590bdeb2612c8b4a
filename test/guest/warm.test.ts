/** Snapshots: machines restored from one, as root and as an ordinary user, with either common init. */

import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { QEMU_IDS } from '../../src/util/qemu-ids.js';
import { ACCEL } from '../helpers/acceleration.js';
import { runBake } from '../helpers/bake.js';
import { embedded, system } from '../helpers/connections.js';
import { type GuestInit, guestInit } from '../helpers/guest-init.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { AtTerminal } from '../helpers/pty.js';
import { assertFailure, assertRun, type RunOptions, runSandbox, startSandbox } from '../helpers/run.js';
import { type Baked, bakeSnapshot, privateStore, recordOf, resealSnapshot } from '../helpers/snapshots.js';

const WARM = [...ACCEL, '--boot', 'warm'];

/** Values that no two machines share, one a line. */
const OWN = [
  'hostname',
  'cat /proc/sys/kernel/random/boot_id',
  'od -An -tx8 -N8 /dev/urandom',
  'mktemp -u /tmp/XXXXXXXXXXXXXXXX',
  'cat /proc/sys/kernel/random/uuid',
].join('; ');

/** How far the guest's clock may be off, in seconds. */
const CLOCK_SECONDS = 0.05;

/**
 * Expects the guest's clock to be right. The guest answers between question and reply, so each exchange gives a lower
 * bound of the clock's error. A slow machine only makes that bound smaller.
 */
async function assertClock(args: readonly string[], options: RunOptions): Promise<void> {
  const script = 'date +%s.%N; while read -r line; do date +%s.%N; done';
  const running = startSandbox([...args, '--', 'sh', '-c', script], { ...options, input: 'open' });
  await running.until(/^(\S+)\n/);
  let most = 0;
  const readings: string[] = [];
  for (let exchange = 1; exchange <= 5; exchange += 1) {
    const asked = Date.now() / 1000;
    running.child.stdin?.write('\n');
    const [, text = ''] = await running.until(new RegExp(`^(?:\\S+\\n){${exchange}}(\\S+)\\n`));
    const answered = Date.now() / 1000;
    most = Math.max(most, asked - Number(text), Number(text) - answered);
    readings.push(`${asked} ≤ ${text} ≤ ${answered}`);
  }
  running.child.stdin?.end();
  const { code, stderr, late } = await running.result;
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  // A launcher that gets too little of a processor to be sure says how far the clock may be off.
  assert.ok(most <= Math.max(CLOCK_SECONDS, late / 1000), `off by ${most} s at least: ${readings.join(', ')}`);
}

describe('a snapshot with the common init in the guest', { skip: embedded.skip }, () => {
  let inside: GuestInit;
  before(async () => {
    inside = await guestInit();
  });
  after(() => inside.remove());
  const run = () => ({ args: [...WARM, '-c', embedded.uri, ...inside.args], env: inside.env });

  it('restores twice, each machine with its own name and secrets', async () => {
    const names = [uniqueName(), uniqueName()];
    const { args, env } = run();
    const runs = names.map((name) =>
      runSandbox([...args, '-n', name, '--', 'sh', '-c', `${OWN}; cat; exit 7`], { env, input: 'from stdin\n' }),
    );
    const [first, second] = (await Promise.all(runs)).map(({ code, out, stderr }, index) => {
      assert.deepEqual({ code, stderr }, { code: 7, stderr: '' });
      const lines = out.trimEnd().split('\n');
      assert.deepEqual([lines[0], lines.at(-1)], [names[index], 'from stdin']);
      return lines.slice(0, -1);
    });
    assert.equal(first?.length, 5);
    for (const [index, line] of (first ?? []).entries()) assert.notEqual(line, second?.[index]);
    for (const name of names) await assertNothingLeft(name);
  });

  it("restores with the host's time", () => assertClock(run().args, { env: run().env }));
});

describe('a snapshot, as root', { skip: embedded.skip }, () => {
  const store = privateStore();
  const { env } = store;
  let baked: Baked;
  before(async () => {
    baked = await bakeSnapshot(['-c', system.skip === false ? system.uri : embedded.uri], { env });
  });
  after(store.remove);

  it("is readable to root and to the group of root's QEMUs only, and takes little space", () => {
    for (const name of ['memory', 'state']) {
      const { mode, uid, gid } = statSync(join(baked.warm, name));
      assert.deepEqual({ mode: mode & 0o7777, uid, gid }, { mode: 0o440, uid: 0, gid: QEMU_IDS.first }, name);
    }
    assert.equal(statSync(join(baked.warm, 'warm.json')).mode & 0o077, 0);
    assert.ok(baked.warmSize <= 80e6, `${baked.warmSize} bytes`);
    // Baking leaves nothing beside it.
    assert.deepEqual(readdirSync(join(baked.warm, '..')), [baked.warm.split('/').at(-1)]);
  });

  for (const way of [embedded, system]) {
    it(`restores twice over ${way.uri}, each machine with its own name, clock and secrets`, {
      skip: way.skip,
    }, async () => {
      const names = [uniqueName(), uniqueName()];
      const script = `echo to stdout; echo to stderr >&2; ${OWN}; cat; exit 7`;
      const results = await Promise.all(
        names.map((name) =>
          runSandbox([...WARM, '-c', way.uri, '-n', name, '--', 'sh', '-c', script], { env, input: 'from stdin\n' }),
        ),
      );
      const [first, second] = results.map(({ code, out, stderr }, index) => {
        assert.deepEqual({ code, stderr }, { code: 7, stderr: 'to stderr\n' });
        const lines = out.trimEnd().split('\n');
        assert.deepEqual([lines[0], lines[1], lines.at(-1)], ['to stdout', names[index], 'from stdin']);
        return lines.slice(1, -1);
      });
      assert.equal(first?.length, 5);
      for (const [index, line] of (first ?? []).entries()) assert.notEqual(line, second?.[index]);
      for (const name of names) await assertNothingLeft(name, way.where);
    });
  }

  it("restores with the host's time", () => assertClock([...WARM, '-c', embedded.uri], { env }));

  it('is passed over when it does not fit, with the reason', async () => {
    const other = await runSandbox([...ACCEL, '--memory', '300', '-v', '--dry-run', '--', 'true'], { env });
    assert.equal(other.code, 0, other.stderr);
    assert.match(other.stderr, /^virt-sandbox: boot: cold, because no snapshot has just this memory/m);

    const insisting = ['--boot', 'warm', '--memory', '300', '--', 'true'];
    assertFailure(
      await runSandbox([...ACCEL, ...insisting], { env }),
      new RegExp(
        `^virt-sandbox: image: no snapshot serves .*bake create --warm --for '--memory 300M ${ACCEL.join(' ')}'`,
      ),
    );
  });

  it('is not used with other kernel arguments, or another QEMU', async () => {
    const other = process.env['VIRT_SANDBOX_PROFILE'] === 'compatible' ? 'default' : 'compatible';
    const profile = await runSandbox([...ACCEL, '--profile', other, '-v', '--dry-run', '--', 'true'], { env });
    assert.match(
      profile.stderr,
      /boot: cold, because the snapshot \S+ is stale: the kernel arguments and the machine changed$/m,
    );
    // Another file of the same name, first in PATH, is another QEMU.
    const path = mkdtempSync(join(tmpdir(), 'vs-warm-path-'));
    try {
      copyFileSync('/bin/true', join(path, 'qemu-system-x86_64'));
      const qemu = await runSandbox([...ACCEL, '-v', '--dry-run', '--', 'true'], {
        env: { ...env, PATH: `${path}:${process.env['PATH']}` },
      });
      assert.match(qemu.stderr, /boot: cold, because the snapshot \S+ is stale: QEMU changed/);
    } finally {
      rmSync(path, { recursive: true, force: true });
    }
  });

  it('is not removed while a restored sandbox runs, stale or not', async (t) => {
    const name = uniqueName();
    const args = [...WARM, '-c', embedded.uri, '-n', name, '--', 'sh', '-c', 'echo up; cat'];
    const running = startSandbox(args, { env, input: 'open' });
    await running.until(/^up\n/);
    const cache = env.XDG_CACHE_HOME;
    const id = baked.image.split('/').at(-1) ?? '';
    const refused = await runBake(cache, ['rm', '--warm', id]);
    assert.equal(refused.code, 125);
    // The launcher has a lease. QEMU, which has a copy of the memory, is not seen to use it.
    assert.match(
      refused.stderr,
      new RegExp(`^virt-sandbox-bake: image: image ${id} is in use by process \\d+; end that sandbox first\n$`),
    );
    const record = recordOf(baked);
    t.after(() => resealSnapshot(baked.warm, record));
    await resealSnapshot(baked.warm, { machine: 'another' });
    const prune = async () =>
      (await runBake(cache, ['prune', '--stale', '--dry-run'])).out.trimEnd().split('\n').at(-1);
    assert.equal(await prune(), '0 snapshots would be removed, 0 B');
    running.child.stdin?.end('goes on\n');
    assertRun(await running.result, 0, 'up\ngoes on\n');
    assert.match((await prune()) ?? '', /^1 snapshot would be removed/);
  });

  it('restores ten at once', async () => {
    const names = Array.from({ length: 10 }, uniqueName);
    const uri = system.skip === false ? system.uri : embedded.uri;
    const results = await Promise.all(
      names.map((name) => runSandbox([...WARM, '-c', uri, '-n', name, '--', 'hostname'], { env })),
    );
    for (const [index, result] of results.entries()) assertRun(result, 0, `${names[index]}\n`);
    for (const name of names) await assertNothingLeft(name, system.skip === false ? system.where : {});
  });
});

describe('a snapshot, as an ordinary user', { skip: unlessOrdinaryUser() }, () => {
  let user: OrdinaryUser;
  let baked: Baked;
  before(async () => {
    user = await OrdinaryUser.create({ emptyStore: true });
    baked = await bakeSnapshot(['-c', 'qemu:///session'], user.options);
  });
  after(() => user.end());

  it('restores with mounts in its slots, a terminal, and signals that end it', async (t) => {
    const source = mkdtempSync(join(tmpdir(), 'vs-warm-mount-'));
    t.after(() => rmSync(source, { recursive: true, force: true }));
    chmodSync(source, 0o755);
    for (const name of ['one', 'two']) {
      mkdirSync(join(source, name));
      writeFileSync(join(source, name, 'file'), `${name}\n`);
      chownSync(join(source, name), user.uid, user.gid);
    }
    const mounts = [
      ...['-m', `host-bind:/tmp/one=${source}/one,ro`],
      ...['-m', 'ram:/tmp/ram=1M'],
      ...['-m', `host-bind:/tmp/two=${source}/two`],
    ];
    const name = uniqueName();
    const terminal = new AtTerminal(
      [...WARM, '-c', 'qemu:///session', '-n', name, ...mounts, '-e', 'PS1=READY> ', '--', 'sh', '-i'],
      { rows: 33, columns: 101 },
      user.options,
    );
    t.after(() => terminal.close());
    await terminal.until(/READY> $/);
    terminal.type('stty size; cat /tmp/one/file /tmp/two/file; echo new >/tmp/two/new; ls /tmp/ram | wc -l; exit 3\n');
    await terminal.until(/33 101\r?\none\r?\ntwo\r?\n0\r?\n/);
    assert.deepEqual(await terminal.exited(), { code: 3, signal: null });
    assert.equal(readFileSync(join(source, 'two/new'), 'utf8'), 'new\n');
    await assertNothingLeft(name, user.where);
  });

  it('restores over qemu:///session and without a daemon, and is readable to nobody else', async () => {
    for (const name of ['memory', 'state', 'warm.json']) {
      const { mode, uid } = statSync(join(baked.warm, name));
      assert.deepEqual({ private: (mode & 0o077) === 0, uid }, { private: true, uid: user.uid }, name);
    }
    for (const uri of ['qemu:///session', 'qemu:///embed']) {
      const name = uniqueName();
      const result = await runSandbox(
        [...WARM, '-c', uri, '-n', name, '--', 'sh', '-c', 'id -u; exit 5'],
        user.options,
      );
      assertRun(result, 5, `${user.uid}\n`);
      await assertNothingLeft(name, user.where);
    }
  });
});

it('without a snapshot, the error says how to bake one', { skip: embedded.skip }, async () => {
  const store = privateStore();
  try {
    assertFailure(
      await runSandbox([...WARM, '-c', embedded.uri, '--', 'true'], { env: store.env }),
      new RegExp(
        '^virt-sandbox: image: no snapshot serves this sandbox: there is no snapshot; bake one with: ' +
          `virt-sandbox-bake create --warm --for '${ACCEL.join(' ')}'$`,
      ),
    );
  } finally {
    store.remove();
  }
});
