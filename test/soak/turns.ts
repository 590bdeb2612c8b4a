/** What a soak says to a sandbox, and which answers are right. */
import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Sandbox } from '../../src/index.js';
import type { Choices } from './plan.js';

/** A thing to say. It throws where the answer is wrong. What is random in it is chosen before it runs. */
export type Turn = (sandbox: Pick<Sandbox, 'run' | 'spawn'>) => Promise<void>;

/** By their kinds. */
export const turnsOf = (choices: Choices): Readonly<Record<string, () => Turn>> => ({
  echo: () => {
    const input = 'x'.repeat(choices.below(2_000_000));
    const status = choices.below(200);
    return async (sandbox) => {
      const { stdout, exitCode } = await sandbox.run(`cat; exit ${status}`, { input });
      assert.ok(stdout === input, `${stdout.length} bytes of ${input.length}`);
      assert.equal(exitCode, status);
    };
  },
  both: () => {
    const bytes = choices.below(1_500_000);
    return async (sandbox) => {
      const { stdout, stderr } = await sandbox.run(`head -c ${bytes} /dev/zero | tee /dev/stderr`);
      assert.deepEqual([stdout.length, stderr.length], [bytes, bytes]);
    };
  },
  killed: () => {
    const signal = choices.one(['SIGTERM', 'SIGKILL', 'SIGHUP'] as const);
    const delay = choices.below(300);
    return async (sandbox) => {
      const process = await sandbox.spawn('sleep 1000 & wait');
      await sleep(delay);
      await process.kill(signal);
      assert.equal((await process.exited).signal, signal);
    };
  },
  unread: () => {
    const delay = choices.below(500);
    return async (sandbox) => {
      const process = await sandbox.spawn(['cat', '/dev/zero']);
      await sleep(delay);
      await process.kill('SIGKILL');
      process.stdout.destroy();
      assert.equal((await process.exited).signal, 'SIGKILL');
    };
  },
  late: () => {
    const timeout = 1 + choices.below(400);
    const script = choices.one(['sleep 1000', 'cat /dev/zero', 'setsid cat /dev/zero & sleep 1000']);
    return async (sandbox) => {
      const process = await sandbox.spawn(script, { timeout });
      assert.equal((await process.exited).timedOut, true);
    };
  },
  aborted: () => {
    const delay = choices.below(300);
    return async (sandbox) => {
      await assert.rejects(sandbox.run('cat /dev/zero', { signal: AbortSignal.timeout(delay), maxBuffer: 1 << 29 }));
    };
  },
  terminal: () => {
    const rows = 1 + choices.below(200);
    return async (sandbox) => {
      const process = await sandbox.spawn('read x; stty size', { tty: { rows: 10, columns: 20 } });
      await process.resize(rows, 33);
      process.stdin.write('\n');
      assert.match(await text(process.stdout), new RegExp(`^${rows} 33\r$`, 'm'));
      assert.equal((await process.exited).exitCode, 0);
    };
  },
  many: () => {
    const count = 1 + choices.below(60);
    return async (sandbox) => {
      const all = await Promise.all(Array.from({ length: count }, (_, at) => sandbox.run(`echo ${at}`)));
      for (const [at, { stdout }] of all.entries()) assert.equal(stdout, `${at}\n`);
    };
  },
  refused: () => async (sandbox) => {
    await assert.rejects(sandbox.run(['/no/such']), { code: 'command-not-found' });
  },
});
