/**
 * A program that talks to one sandbox as a seed says: talker.js URI NAME SEED. It prints what was wrong, a line each, and
 * ends as the seed says: well, or at once and with everything running.
 */
import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox } from '../../src/index.js';
import { Choices } from './plan.js';

const [connect = '', name = '', seed = '0'] = process.argv.slice(2);
const choices = new Choices(Number(seed));

/** How many things are said at once, and in all. */
const LANES = 12;
const TURNS = 6;

/** Of a command that should be over by then, in milliseconds. */
const LATE_MS = 30_000;

/** A thing to say. It throws where the answer is wrong. What is random in it is chosen before it runs. */
type Turn = (sandbox: Sandbox) => Promise<void>;

const TURNS_OF: Readonly<Record<string, () => Turn>> = {
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
};

const sandbox = await Sandbox.create({ connect, name });
const wrong: string[] = [];
const lanes = Array.from({ length: LANES }, () =>
  Array.from({ length: TURNS }, () => {
    const kind = choices.one(Object.keys(TURNS_OF));
    return { kind, turn: TURNS_OF[kind]?.() };
  }),
);
const end = choices.one(['stop', 'stop', 'in the middle', 'at once'] as const);
const middle = choices.below(2000);

let isEnding = false;
async function say(lane: (typeof lanes)[number]): Promise<void> {
  for (const { kind, turn } of lane) {
    const late = new Error(`nothing after ${LATE_MS / 1000} s`);
    const bound = sleep(LATE_MS, undefined, { ref: false }).then(() => {
      throw late;
    });
    await Promise.race([turn?.(sandbox), bound]).catch((error: unknown) => {
      // What ends in the middle has no right answer, but it ends.
      if (!isEnding || error === late) wrong.push(`${kind}: ${String(error).split('\n').slice(0, 3).join(' ')}`);
    });
    if (isEnding) return;
  }
}

const saying = Promise.all(lanes.map(say));
if (end === 'stop') await saying;
else await sleep(middle);
isEnding = true;
process.stdout.write(`end: ${end}\n`);
if (end === 'at once') process.kill(process.pid, 'SIGKILL');
await sandbox.stop();
await saying;
process.stdout.write(wrong.map((line) => `wrong: ${line}\n`).join(''));
