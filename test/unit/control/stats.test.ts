/** What a sandbox costs. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { processesBelow, statsOf } from '../../../src/control/stats.js';
import type { Launched } from '../../../src/sandbox/launched.js';
import { scratchDirectory } from '../../helpers/scratch.js';

test('the processes of a container are all below its controller, and no others', async (t) => {
  const file = join(scratchDirectory(t), 'file');
  writeFileSync(file, 'ready\n');
  // The innermost program says the word: before it was executed, its name was still that of the shell.
  const script = `sh -c "tail -f ${file} & wait" & wait`;
  const child = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  t.after(() => {
    for (const { pid } of processesBelow(child.pid ?? 0)) process.kill(pid);
    child.kill();
  });
  await once(child.stdout, 'data');
  const below = processesBelow(child.pid ?? 0);
  assert.deepEqual(
    below.map(({ name }) => name),
    ['sh', 'tail'],
  );
  assert.ok(processesBelow(process.pid).some(({ pid }) => pid === child.pid));
});

test('what QEMU costs is asked once for all who ask at a time', async () => {
  let asked = 0;
  const qemuPid = async () => {
    asked += 1;
    return process.pid;
  };
  const launched = {
    connection: { kind: 'embedded', qemuPid },
    name: 'web',
    state: { sockets: '/nonexistent' },
    channel: { processes: 3 },
  } as unknown as Launched;
  const [one, other] = await Promise.all([statsOf(launched), statsOf(launched)]);
  assert.deepEqual([one, asked], [other, 1]);
  assert.equal(one.processes, 3);
  assert.ok(one.cpuSeconds > 0 && one.memoryBytes > 1 << 20);
  assert.ok(Math.abs(one.holderBytes - one.memoryBytes) < 1 << 24);
  await delay(150);
  await statsOf(launched);
  assert.equal(asked, 2);
});
