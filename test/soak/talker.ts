/**
 * A program that talks to one sandbox as a seed says: talker.js URI NAME SEED. It prints what was wrong, a line each, and
 * ends as the seed says: well, or at once and with everything running.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox } from '../../src/index.js';
import { Choices } from './plan.js';
import { turnsOf } from './turns.js';

const [connect = '', name = '', seed = '0'] = process.argv.slice(2);
const choices = new Choices(Number(seed));

/** How many things are said at once, and in all. */
const LANES = 12;
const TURNS = 6;

/** Of a command that should be over by then, in milliseconds. */
const LATE_MS = 30_000;

const turns = turnsOf(choices);
const sandbox = await Sandbox.create({ connect, name });
const wrong: string[] = [];
const lanes = Array.from({ length: LANES }, () =>
  Array.from({ length: TURNS }, () => {
    const kind = choices.one(Object.keys(turns));
    return { kind, turn: turns[kind]?.() };
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
