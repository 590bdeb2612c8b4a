/** Runs a command that has processes of its own, and sees what all of them take together. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';

export interface Usage {
  readonly seconds: number;
  /** Of processors, in the program and in the kernel. */
  readonly cpuSeconds: number;
  /** The most resident memory of all processes at one moment, in MiB. What several have in common counts for each. */
  readonly memory: number;
}

/** Milliseconds between two looks at the memory. */
const INTERVAL = 10;

/** Runs the words behind, and says at the end what processors they took. */
const WITH_TIMES = '"$@" >/dev/null || exit; times';

/**
 * Runs a command to its end. Its output is discarded.
 * @throws {Error} with what it says, when it fails
 */
export async function measuredRun(argv: readonly string[]): Promise<Usage> {
  const started = performance.now();
  const child = spawn('/bin/sh', ['-c', WITH_TIMES, 'sh', ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
  let ended: number | undefined;
  const exited = once(child, 'exit').then(() => {
    ended = performance.now();
  });
  const said = Promise.all([text(child.stdout), text(child.stderr)]);
  let memory = 0;
  while (ended === undefined) {
    memory = Math.max(memory, residentOf(child.pid ?? 0));
    await Promise.race([exited, setTimeout(INTERVAL)]);
  }
  const [stdout, stderr] = await said;
  if (child.exitCode !== 0) throw new Error(`${argv.join(' ')} failed: ${stderr.trim().slice(-1000)}`);
  return { seconds: (ended - started) / 1000, cpuSeconds: cpuSeconds(stdout), memory: memory / 1024 };
}

/** KiB of a process and of all below it; 0 of those that are gone. */
function residentOf(pid: number): number {
  try {
    const [, own = '0'] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
    const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1')
        .split(' ')
        .filter((one) => one.trim() !== ''),
    );
    return children.reduce((sum, child) => sum + residentOf(Number(child)), Number(own));
  } catch {
    return 0;
  }
}

/** The second line of times(1): of all children, `1m2.50s 0m3.25s`. POSIX. */
function cpuSeconds(output: string): number {
  const line = output.trim().split('\n').at(-1) ?? '';
  const times = [...line.matchAll(/(\d+)m([\d.]+)s/g)].map(
    ([, minutes, seconds]) => 60 * Number(minutes) + Number(seconds),
  );
  if (times.length !== 2) throw new Error(`times says ${line}`);
  return times.reduce((sum, one) => sum + one, 0);
}
