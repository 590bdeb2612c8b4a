/** A command in a sandbox whose holder does not answer any more. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ExecutionOptions } from '../../../../src/cli/ctl/execution.js';
import { Proc } from '../../../../src/protocol/wire.js';
import { type Holder, holder, until } from '../../control/stand-ins.js';
import { exit, stream } from '../../protocol/guest.js';

const EXECUTING = fileURLToPath(new URL('../../../helpers/executing.js', import.meta.url));

interface Executing {
  readonly child: ChildProcess;
  readonly ended: Promise<{ status: number | null; stderr: string }>;
}

async function executing(
  t: TestContext,
  { path }: Holder,
  options: Partial<ExecutionOptions> = {},
): Promise<Executing> {
  const all = { interactive: false, tty: false, name: 'web', ...options };
  const child = spawn(process.execPath, [EXECUTING, path, JSON.stringify(all)], { stdio: ['pipe', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const ended = once(child, 'close').then(([status]) => ({ status, stderr }));
  await once(child.stderr, 'data');
  return { child, ended };
}

const SILENT = /the process that holds the sandbox "web" does not answer; .*kill -CONT/;

describe('a command whose holder does not answer', { concurrency: true, timeout: 60_000 }, () => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    it(`is left at ${signal}`, async (t) => {
      const held = await holder(t);
      const { child, ended } = await executing(t, held, { answerMs: 300 });
      held.guest.isSilent = true;
      child.kill(signal);
      const { status, stderr } = await ended;
      assert.equal(status, 125);
      assert.match(stderr, SILENT);
    });
  }

  it('is left at a second signal', async (t) => {
    const held = await holder(t);
    const { child, ended } = await executing(t, held, { answerMs: 1_000_000 });
    held.guest.isSilent = true;
    child.kill('SIGINT');
    // Its patience begins when it has handled the first one.
    await until(() => held.guest.signals(1).length > 0);
    await delay(1100);
    child.kill('SIGINT');
    assert.equal((await ended).status, 125);
  });

  it('is left when its time is long over', async (t) => {
    const held = await holder(t);
    const { ended } = await executing(t, held, { answerMs: 300, timeout: 100 });
    held.guest.isSilent = true;
    const { status, stderr } = await ended;
    assert.equal(status, 125);
    assert.match(stderr, SILENT);
  });

  it('is left when nobody reads its output', async (t) => {
    const held = await holder(t);
    const { child, ended } = await executing(t, held);
    held.guest.isSilent = true;
    child.stdout?.destroy();
    held.guest.say(stream(Proc.STDOUT, 1, Buffer.from('x')));
    assert.equal((await ended).status, 141);
  });

  it('gets signals as long as it is answered', async (t) => {
    const held = await holder(t);
    const { child, ended } = await executing(t, held);
    for (const signal of ['SIGINT', 'SIGUSR1', 'SIGTERM', 'SIGINT'] as const) {
      const before = held.guest.signals(1).length;
      child.kill(signal);
      await until(() => held.guest.signals(1).length > before);
    }
    held.guest.say(stream(Proc.STDOUT, 1, new Uint8Array()), stream(Proc.STDERR, 1, new Uint8Array()), exit(1, 7 << 8));
    assert.equal((await ended).status, 7);
    assert.deepEqual(held.guest.signals(1).slice(0, 4), [2, 10, 15, 2]);
  });
});
