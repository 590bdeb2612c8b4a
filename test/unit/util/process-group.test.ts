/** The end of a program with a group of its own. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { valueOr } from '../../../src/util/errors.js';
import { ProcessGroup, startOf } from '../../../src/util/process-group.js';

/** A shell with a group of its own, which has said that it begins, and the number of what it has started. */
async function started(
  context: TestContext,
  script: string,
): Promise<{ leader: ChildProcess; id: number; other: number }> {
  const leader = spawn('sh', ['-c', script], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  const { pid = 0 } = leader;
  const [line] = (await once(leader.stdout ?? leader, 'data')) as [Buffer];
  const other = Number(line.toString());
  assert.ok(pid > 0 && other > 0);
  context.after(() => {
    for (const id of [pid, other]) if (startOf(id) !== undefined) process.kill(id, 'SIGKILL');
  });
  return { leader, id: pid, other };
}

/** Whether a process is there and has not ended: one that nobody has waited for yet is still there. */
function isAlive(id: number): boolean {
  const text = valueOr(() => readFileSync(`/proc/${id}/stat`, 'latin1'), '');
  return text !== '' && !text.includes(') Z ');
}

async function untilGone(...ids: readonly number[]): Promise<void> {
  while (ids.some((id) => startOf(id) !== undefined)) await new Promise((resolve) => setTimeout(resolve, 10));
}

describe('a process group', { timeout: 60_000 }, () => {
  it('is led until its leader ends', async (context) => {
    const { leader, id } = await started(context, 'sleep 1000 & echo $!; wait');
    const group = new ProcessGroup(id);
    assert.equal(group.isLed, true);
    leader.kill('SIGKILL');
    await once(leader, 'exit');
    assert.equal(group.isLed, false);
  });

  it('ends with its leader, which cleans up when all others are killed', async (context) => {
    const { leader, id, other } = await started(context, 'sleep 1000 & echo $!; wait $!; exit 7');
    const ended = once(leader, 'exit');
    assert.equal(await new ProcessGroup(id).end(), true);
    assert.deepEqual(await ended, [7, null]);
    await untilGone(id, other);
  });

  it('ends also if its leader ignores all that it can', async (context) => {
    const script = 'trap "" INT TERM HUP; sleep 1000 & echo $!; while :; do sleep 1000; done';
    const { leader, id, other } = await started(context, script);
    const ended = once(leader, 'exit');
    assert.equal(await new ProcessGroup(id).end(), true);
    assert.deepEqual(await ended, [null, 'SIGKILL']);
    await untilGone(id, other);
  });

  it('is left alone if another process has the number of its leader', async (context) => {
    const { id, other } = await started(context, 'sleep 1000 & echo $!; wait');
    const former = new ProcessGroup(id, '1');
    assert.equal(former.isLed, false);
    assert.equal(await former.end(), true);
    await former.killRest();
    assert.ok(isAlive(id));
    assert.ok(isAlive(other));
  });

  it('is left alone without its leader, unless that has just ended', async (context) => {
    const { leader, id, other } = await started(context, 'sleep 1000 & echo $!; wait');
    const group = new ProcessGroup(id);
    leader.kill('SIGKILL');
    await once(leader, 'exit');
    assert.equal(await group.end(), true);
    assert.ok(isAlive(other));
    await group.killRest();
    assert.ok(!isAlive(other));
  });

  it('is left alone if its leader was gone before anybody looked at it', async (context) => {
    const { leader, id, other } = await started(context, 'sleep 1000 & echo $!; exit');
    if (leader.exitCode === null) await once(leader, 'exit');
    const group = new ProcessGroup(id);
    assert.equal(await group.end(), true);
    await group.killRest();
    assert.ok(isAlive(other));
  });
});
