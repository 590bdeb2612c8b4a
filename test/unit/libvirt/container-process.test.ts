/** The end of a container, which may end by itself while it is being killed. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { killContainer } from '../../../src/libvirt/container-process.js';
import { Supervisor } from '../../../src/libvirt/supervisor.js';
import { valueOr } from '../../../src/util/errors.js';
import { scratchDirectory } from '../../helpers/scratch.js';

const NAME = 'sandbox-test';

/** A process that ends when its child does, as libvirt's controller, and the supervisor that is to kill it. */
async function controller(t: TestContext) {
  const directory = join(scratchDirectory(t), 'state');
  mkdirSync(directory);
  const supervisor = await Supervisor.start({ directory });
  t.after(() => supervisor.finish());
  const script = 'sleep 1000 & echo started; wait';
  const child = spawn('sh', ['-c', script, 'sh', '--name', NAME], {
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  const pid = pidOf(child);
  const closed = once(child, 'close');
  t.after(async () => {
    // What is left of its group, if anything: the child of a controller that was killed alone.
    valueOr(() => process.kill(-pid, 'SIGKILL'), false);
    await closed;
  });
  await once(child.stdout, 'data');
  child.stdout.resume();
  return { supervisor, child, pid };
}

function pidOf({ pid }: ChildProcess): number {
  assert.ok(pid !== undefined);
  return pid;
}

test('a container is killed with its controller', async (t) => {
  const { supervisor, child, pid } = await controller(t);
  const exited = once(child, 'exit');
  assert.equal(await killContainer(supervisor, pid, NAME), true);
  await exited;
});

test('a controller that ends between the two kills is gone, not refused', async (t) => {
  const { supervisor, child, pid } = await controller(t);
  const exited = once(child, 'exit');
  const late = {
    kill: async (...words: Parameters<Supervisor['kill']>) => {
      await exited;
      return supervisor.kill(...words);
    },
  };
  assert.equal(await killContainer(late, pid, NAME), true);
});

test('a container that has ended by itself is gone', async (t) => {
  const { supervisor, child, pid } = await controller(t);
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  assert.equal(await killContainer(supervisor, pid, NAME), true);
});

test('a process with another name is left alone', async (t) => {
  const { supervisor, pid } = await controller(t);
  assert.equal(await killContainer(supervisor, pid, 'sandbox-other'), true);
  assert.ok(existsSync(`/proc/${pid}/exe`));
});
