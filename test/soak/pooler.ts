/**
 * A program with a pool as a seed says: pooler.js URI NAME SEED. It takes sandboxes, several at once, kills the QEMU of some
 * that wait, aborts takes, and ends well, in the middle, or at once. It prints what was wrong, a line each.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Sandbox, SandboxError, SandboxPool } from '../../src/index.js';
import { qemuOf } from '../helpers/leftovers.js';
import { Choices } from './plan.js';

const [connect = '', , seed = '0'] = process.argv.slice(2);
const choices = new Choices(Number(seed));

/** How many take at once, and how often each. */
const LANES = 3;
const TURNS = 6;

/** A take that should be over by then, in milliseconds. */
const LATE_MS = 60_000;

const KINDS = ['use', 'use', 'use', 'kill', 'abort', 'stop'] as const;

const size = choices.between(1, 4);
// With a screen each starts a compositor, and Xwayland, before it waits.
const pool = await SandboxPool.create({ size, connect, graphics: choices.below(4) === 0 });
const uuids = new Set<string>();
const wrong: string[] = [];
let isEnding = false;

async function use(sandbox: Sandbox): Promise<void> {
  const { stdout } = await sandbox.run('cat /proc/sys/kernel/random/uuid; date +%s');
  const [uuid = '', seconds] = stdout.split('\n');
  assert.ok(!uuids.has(uuid), `two sandboxes have the random number ${uuid}`);
  uuids.add(uuid);
  assert.ok(Math.abs(Number(seconds) - Date.now() / 1000) < 10, `it is ${seconds} inside`);
}

/** What is random in it is chosen before it runs. */
const TURNS_OF: Readonly<Record<(typeof KINDS)[number], (delay: number) => Promise<void>>> = {
  use: async () => {
    const sandbox = await pool.take();
    await use(sandbox);
    await sandbox.stop();
  },
  kill: async (delay) => {
    const pid = qemuOf(pool.names[delay % 2] ?? 'none');
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    await use(await pool.take());
  },
  abort: async (delay) => {
    const taking = pool.take({ signal: AbortSignal.timeout(delay) });
    await taking.then(
      (sandbox) => sandbox.exited,
      (error: unknown) => assert.ok(error instanceof SandboxError && error.code === 'aborted', String(error)),
    );
  },
  stop: async () => {
    await (await pool.take()).stop();
  },
};

const lanes = Array.from({ length: LANES }, () =>
  Array.from({ length: TURNS }, () => ({ kind: choices.one(KINDS), delay: 1 + choices.below(500) })),
);
const end = choices.one(['close', 'close', 'in the middle', 'at once'] as const);
const middle = choices.below(3000);

async function act(lane: (typeof lanes)[number]): Promise<void> {
  for (const { kind, delay } of lane) {
    const late = new Error(`nothing after ${LATE_MS / 1000} s`);
    const bound = sleep(LATE_MS, undefined, { ref: false }).then(() => {
      throw late;
    });
    await Promise.race([TURNS_OF[kind](delay), bound]).catch((error: unknown) => {
      if (!isEnding || error === late) wrong.push(`${kind}: ${String(error).split('\n').slice(0, 3).join(' ')}`);
    });
    if (isEnding) return;
  }
}

const acting = Promise.all(lanes.map(act));
if (end === 'close') await acting;
else await sleep(middle);
isEnding = true;
process.stdout.write(`end: ${end}\n`);
if (end === 'at once') process.kill(process.pid, 'SIGKILL');
await pool.close();
await acting;
if (readdirSync('/proc/self/fd').length > 200) wrong.push('descriptors stay open');
process.stdout.write(wrong.map((line) => `wrong: ${line}\n`).join(''));
process.exit(0);
