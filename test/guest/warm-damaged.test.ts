/** Damaged snapshots: they are passed over, and a restore that fails has executed nothing. */

import assert from 'node:assert/strict';
import { chmodSync, openSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded, system } from '../helpers/connections.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { assertFailure, runSandbox } from '../helpers/run.js';
import { type Baked, bakeSnapshot, privateStore, resealSnapshot } from '../helpers/snapshots.js';

const WARM = [...ACCEL, '--boot', 'warm'];

describe('a damaged snapshot, as root', { skip: embedded.skip }, () => {
  const store = privateStore();
  const { env } = store;
  let baked: Baked;
  before(async () => {
    baked = await bakeSnapshot(['-c', embedded.uri], { env });
  });
  after(store.remove);

  /** Has QEMU itself reject a state that has the right digest: the record is written anew for the damaged files. */
  async function truncateState({ warm }: Baked): Promise<void> {
    truncateSync(join(warm, 'state'), 10_000);
    await resealSnapshot(warm);
  }

  /** Expects that the command runs once. @returns what -v says of the boot, without the words of QEMU */
  async function choices(...options: string[]): Promise<string[]> {
    const command = ['-v', '--', 'cat', '/proc/sys/kernel/random/boot_id'];
    const { code, out, stderr } = await runSandbox([...ACCEL, ...options, ...command], { env });
    assert.equal(code, 0, stderr);
    assert.match(out, /^\S+\n$/, 'the command ran once');
    const lines = stderr.split('\n').filter((line) => line.startsWith('virt-sandbox: boot: '));
    return lines.map((line) => line.replace(/(?<=cannot be started from: ).*/, '…'));
  }

  it('is recognized and passed over', async () => {
    const insist = () => runSandbox([...WARM, '-c', embedded.uri, '--', 'true'], { env });
    const memory = join(baked.warm, 'memory');
    chmodSync(memory, 0o600);
    const file = openSync(memory, 'r+');
    writeSync(file, 'x', 20_000_000);
    assertFailure(await insist(), /memory is not what it was/);
    // That it then boots cold, test/guest/warm-validity shows: the choice is made before the start.
    const dry = await runSandbox([...ACCEL, '-c', embedded.uri, '-v', '--dry-run', '--', 'true'], { env });
    assert.equal(dry.code, 0, dry.stderr);
    assert.match(dry.stderr, /^virt-sandbox: boot: cold, because .*memory is not what it was/m);

    // A snapshot of another boot image is used instead.
    const larger = await bakeSnapshot(['-c', embedded.uri, '--slots', 'disks=1'], { env });
    assert.notEqual(larger.image, baked.image);
    assert.deepEqual(await choices('-c', embedded.uri, '--boot', 'warm'), [
      `virt-sandbox: boot: warm, from ${larger.warm}`,
    ]);

    // The next valid snapshot is tried before a cold boot.
    await truncateState(baked);
    const first = `virt-sandbox: boot: warm, from ${baked.warm}`;
    const second = `virt-sandbox: boot: warm, from ${larger.warm}, because the snapshot ${baked.warm} cannot be started from: …`;
    for (const options of [[], ['--boot', 'warm']])
      assert.deepEqual(await choices('-c', embedded.uri, ...options), [first, second]);
    // Each is tried once. Over a daemon, a failed restore leaves no log either.
    await truncateState(larger);
    const cold = `virt-sandbox: boot: cold, because the snapshot ${larger.warm} cannot be started from: …`;
    const way = system.skip === false ? system : embedded;
    const name = uniqueName();
    assert.deepEqual(await choices('-c', way.uri, '-n', name), [first, second, cold]);
    await assertNothingLeft(name, way.where);
    assertFailure(await insist(), /the snapshot \S+ cannot be started from.*; bake it again with/);
  });
});
