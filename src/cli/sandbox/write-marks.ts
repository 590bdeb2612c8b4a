/**
 * VIRT_SANDBOX_TRACE=FILE: writes the marks of a run as lines of JSON, for virt-sandbox-bench. Marks are kept in memory
 * and written when the process ends. `guest:FILE` also asks the guest for its clock and its kernel's log.
 *
 * The first line, `process`, holds what Node.js knows of its own start. Times are CLOCK_MONOTONIC in nanoseconds.
 */
import { subscribe } from 'node:diagnostics_channel';
import { writeFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { GUEST, MARKS, type Mark } from '../../util/marks.js';

const WITH_GUEST = 'guest:';

/** A run has some hundred; events of QEMU have no end. */
const MOST_MARKS = 100_000;

/** Keeps all marks from now on, and writes them when this process ends. @param wanted `FILE` or `guest:FILE` */
export function writeMarks(wanted: string): void {
  const inspects = wanted.startsWith(WITH_GUEST);
  const file = inspects ? wanted.slice(WITH_GUEST.length) : wanted;
  const lines = [processLine()];
  subscribe(MARKS, (message) => {
    if (lines.length < MOST_MARKS) lines.push(message as Mark);
  });
  if (inspects) subscribe(GUEST, () => {});
  process.once('exit', () => {
    writeFileSync(file, lines.map((line) => `${JSON.stringify(line, plain)}\n`).join(''));
  });
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
