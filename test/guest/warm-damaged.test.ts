/** Damaged snapshots: they are passed over, and a restore that fails has executed nothing. */

import assert from 'node:assert/strict';
import { chmodSync, openSync, rmSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { embedded, system } from '../helpers/connections.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { assertFailure, runSandbox } from '../helpers/run.js';
import { type Baked, bakeSnapshot, privateStore, resealSnapshot, TCG } from '../helpers/snapshots.js';

const WARM = [...TCG, '--boot', 'warm'];

describe('a damaged snapshot, as root', { skip: embedded.skip }, () => {
  const store = privateStore();
  const { env } = store;
  let baked: Baked;
  before(async () => {
    baked = await bakeSnapshot(['-c', embedded.uri], { env });
  });
  after(store.remove);

  it('is recognized and passed over', async () => {
    const script = 'cat /proc/sys/kernel/random/boot_id';
    const args = ['-c', embedded.uri, '-v', '--', 'sh', '-c', script];
    const damage = async (name: string, pattern: RegExp) => {
      assertFailure(await runSandbox([...WARM, ...args.slice(0, 2), ...args.slice(3)], { env }), pattern);
      const fallen = await runSandbox([...TCG, ...args], { env });
      assert.equal(fallen.code, 0, fallen.stderr);
      assert.match(fallen.out, /^\S+\n$/, `${name}: the command ran once`);
      assert.match(fallen.stderr, /^virt-sandbox: boot: cold, because /m);
    };
    const memory = join(baked.warm, 'memory');
    chmodSync(memory, 0o600);
    const file = openSync(memory, 'r+');
    writeSync(file, 'x', 20_000_000);
    await damage('memory', /memory is not what it was/);

    // A snapshot of another boot image is used instead.
    const larger = await bakeSnapshot(['-c', embedded.uri, '--slots', 'disks=1'], { env });
    assert.notEqual(larger.image, baked.image);
    const other = await runSandbox([...WARM, ...args], { env });
    assert.equal(other.code, 0, other.stderr);
    assert.ok(other.stderr.includes(`boot: warm, from ${larger.warm}\n`), other.stderr);
    rmSync(larger.warm, { recursive: true });

    // QEMU itself rejects a state that has the right digest: the record is written anew for the damaged file.
    const again = await bakeSnapshot(['-c', embedded.uri, '--slots', 'mounts=1'], { env });
    assert.notEqual(again.warm, baked.warm);
    rmSync(baked.warm, { recursive: true });
    const state = join(again.warm, 'state');
    truncateSync(state, 10_000);
    await resealSnapshot(again.warm);
    await damage('state', /cannot be started from/);

    // The next valid snapshot is tried before a cold boot.
    const next = await bakeSnapshot(['-c', embedded.uri, '--slots', 'mounts=2'], { env });
    for (const boot of ['auto', 'warm']) {
      const { code, out, stderr } = await runSandbox([...TCG, '--boot', boot, ...args], { env });
      assert.deepEqual({ code, lines: out.split('\n').length }, { code: 0, lines: 2 }, stderr);
      const choices = stderr.split('\n').filter((line) => line.startsWith('virt-sandbox: boot: '));
      assert.deepEqual(
        choices.map((line) => line.replace(/(?<=cannot be started from: ).*/, '…')),
        [
          `virt-sandbox: boot: warm, from ${again.warm}`,
          `virt-sandbox: boot: warm, from ${next.warm}, because the snapshot ${again.warm} cannot be started from: …`,
        ],
      );
    }
    // Each is tried once.
    truncateSync(join(next.warm, 'state'), 10_000);
    await resealSnapshot(next.warm);
    const { code, stderr } = await runSandbox([...TCG, ...args], { env });
    assert.equal(code, 0, stderr);
    assert.deepEqual(
      [...stderr.matchAll(/^virt-sandbox: boot: (warm, from [^\s,]+|cold), because the snapshot (\S+)/gm)].map(
        ([, ...parts]) => parts,
      ),
      [
        [`warm, from ${next.warm}`, again.warm],
        ['cold', next.warm],
      ],
    );
    const refused = await runSandbox([...WARM, ...args.slice(0, 2), '--', 'true'], { env });
    assertFailure(refused, /the snapshot \S+ cannot be started from.*; bake it again with/);
  });

  it('leaves no daemon log behind after a failed restore', { skip: system.skip }, async () => {
    const damaged = await bakeSnapshot(['-c', system.uri, '--slots', 'mounts=3'], { env });
    truncateSync(join(damaged.warm, 'state'), 10_000);
    await resealSnapshot(damaged.warm);
    const name = uniqueName();
    const { code, stderr } = await runSandbox([...TCG, '-v', '-c', system.uri, '-n', name, '--', 'true'], { env });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^virt-sandbox: boot: cold, because the snapshot \S+ cannot be started from/m);
    await assertNothingLeft(name, system.where);
  });
});
