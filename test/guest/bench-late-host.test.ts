/** The clock of a guest that counts its instructions: it does not run ahead while the guest waits for its host. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { countingInstructions } from '../../src/bench/run/variant.js';
import { loadProfile } from '../../src/profile/load.js';
import { embedded } from '../helpers/connections.js';
import { qemuOf, uniqueName } from '../helpers/leftovers.js';
import { assertRun, startSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

describe('a guest that counts instructions', { skip: embedded.skip }, () => {
  it('waits for a host that is late', async (t) => {
    const profile = join(scratchDirectory(t), 'profile.json');
    writeFileSync(profile, JSON.stringify(countingInstructions(await loadProfile('fast'))));
    const start = async () => {
      const name = uniqueName();
      const options = ['-c', embedded.uri, '--boot', 'cold', '--accel', 'tcg', '--boot-timeout', '600'];
      const running = startSandbox(['-n', name, ...options, '--profile', profile, '--', 'echo', 'there']);
      let qemu = qemuOf(name);
      for (; qemu === undefined && running.child.exitCode === null; qemu = qemuOf(name)) await sleep(5);
      assert.ok(qemu !== undefined, running.stderr());
      return { running, qemu };
    };

    const whole = await start();
    let worked = 0;
    for (let now = processorTime(whole.qemu); now !== undefined; now = processorTime(whole.qemu)) {
      worked = now;
      await sleep(5);
    }
    assertRun(await whole.running.result, 0, 'there\n');

    // Stopped until the guest has worked for far longer than it boots, so it has come to its wait for the host.
    const late = await start();
    late.running.child.kill('SIGSTOP');
    try {
      let now = processorTime(late.qemu);
      for (; now !== undefined && now < 2 * worked; now = processorTime(late.qemu)) await sleep(20);
      assert.ok(now !== undefined, 'the guest has not waited');
    } finally {
      late.running.child.kill('SIGCONT');
    }
    assertRun(await late.running.result, 0, 'there\n');
  });
});

/** What a process has used, in ticks; undefined if it has ended. */
function processorTime(pid: number): number | undefined {
  try {
    const [state, ...fields] = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
    return state === 'Z' ? undefined : Number(fields[10]) + Number(fields[11]);
  } catch {
    return undefined;
  }
}
