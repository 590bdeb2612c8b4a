/**
 * VIRT_SANDBOX_TRACE=FILE: writes the marks of a run as lines of JSON, for virt-sandbox-bench. Marks are kept in memory
 * and written when the process ends. `guest:FILE` also asks the guest for its clock and its kernel's log.
 * `picture:FILE`, or `picture:guest:FILE`, ends a sandbox when a program has drawn on its screen, as SIGTERM does.
 *
 * The first line, `process`, holds what Node.js knows of its own start. Times are CLOCK_MONOTONIC in nanoseconds.
 */
import { subscribe } from 'node:diagnostics_channel';
import { writeFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { GUEST, MARKS, type Mark, PICTURE } from '../../util/marks.js';

const WITH_PICTURE = 'picture:';
const WITH_GUEST = 'guest:';

/** A run has some hundred; events of QEMU have no end. */
const MOST_MARKS = 100_000;

/** Keeps all marks from now on, and writes them when this process ends. @param wanted `FILE` with those words before it */
export function writeMarks(wanted: string): void {
  const [looks, rest] = without(WITH_PICTURE, wanted);
  const [inspects, file] = without(WITH_GUEST, rest);
  const lines = [processLine()];
  subscribe(MARKS, (message) => {
    if (lines.length < MOST_MARKS) lines.push(message as Mark);
    if (looks && (message as Mark).name === 'picture.first') process.kill(process.pid, 'SIGTERM');
  });
  if (looks) subscribe(PICTURE, () => {});
  if (inspects) subscribe(GUEST, () => {});
  process.once('exit', () => {
    writeFileSync(file, lines.map((line) => `${JSON.stringify(line, plain)}\n`).join(''));
  });
}

function without(word: string, text: string): [boolean, string] {
  return text.startsWith(word) ? [true, text.slice(word.length)] : [false, text];
}

function processLine(): object {
  const { nodeStart, v8Start, environment, bootstrapComplete } = performance.nodeTiming;
  // As CLOCK_MONOTONIC; performance.timeOrigin is a time of day.
  const origin = process.hrtime.bigint() - BigInt(Math.round(performance.now() * 1e6));
  const at = (milliseconds: number) => origin + BigInt(Math.round(milliseconds * 1e6));
  return {
    name: 'process',
    time: origin,
    detail: {
      pid: process.pid,
      node: process.versions.node,
      nodeStart: at(nodeStart),
      v8Start: at(v8Start),
      environment: at(environment),
      bootstrapComplete: at(bootstrapComplete),
      // The time of day at that origin, in nanoseconds: to compare with times in files and in other programs' logs.
      wallClock: BigInt(Math.round((performance.timeOrigin ?? 0) * 1e6)),
    },
  };
}

/** A bigint becomes a number: CLOCK_MONOTONIC in nanoseconds is exact for a hundred days and good to 2 ns for years. */
function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Error) return { message: value.message };
  return value;
}
