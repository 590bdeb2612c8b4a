/**
 * VIRT_SANDBOX_TRACE=FILE: the marks of a run as lines of JSON, for virt-sandbox-bench. They are kept in memory and written when the process
 * ends. `guest:FILE` has the guest asked for its clock and its kernel's log as well.
 *
 * The first line, `process`, holds what Node.js knows of its own start.
 */
import { subscribe } from 'node:diagnostics_channel';
import { writeFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { GUEST, MARKS, type Mark } from '../../util/marks.js';

const WITH_GUEST = 'guest:';

/** From here on marks are kept; they are written to the file when this process ends. */
export function writeMarks(wanted: string): void {
  const inspects = wanted.startsWith(WITH_GUEST);
  const file = inspects ? wanted.slice(WITH_GUEST.length) : wanted;
  const lines = [processLine()];
  subscribe(MARKS, (message) => lines.push(message as Mark));
  if (inspects) subscribe(GUEST, () => {});
  process.once('exit', () => {
    writeFileSync(file, lines.map((line) => `${JSON.stringify(line, plain)}\n`).join(''));
  });
}

function processLine(): object {
  const { nodeStart, v8Start, environment, bootstrapComplete } = performance.nodeTiming;
  // Of CLOCK_MONOTONIC, as all other times; performance.timeOrigin is of the time of day.
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
      // The time of day at that origin, in nanoseconds: for what files and other programs' logs say.
      wallClock: BigInt(Math.round((performance.timeOrigin ?? 0) * 1e6)),
    },
  };
}

/** Large integers as numbers: a time of CLOCK_MONOTONIC in nanoseconds is exact for the first hundred days, and good to 2 ns for years. */
function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Error) return { message: value.message };
  return value;
}
