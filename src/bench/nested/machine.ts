/** The emulated machine that is a KVM host: a sandbox of our own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname } from 'node:path';
import { parseMemory } from '../../config/parsers/size.js';
import { packageDirectory, searchPath } from '../../util/programs.js';
import { programPath } from '../run/commands.js';
import { NESTED_VARIABLE } from '../run/setting.js';
import { type Inside, insideScript } from './inside.js';

export interface NestedMachine {
  /** As virt-sandbox takes it. */
  readonly memory: string;
  /** Processors; default: 2 if the host has as many. */
  readonly vcpus?: number | undefined;
  /** What it has mounted besides, as `--mount` takes it. Of these, one on `/` replaces its root. */
  readonly mounts?: readonly string[] | undefined;
}

/** Where the machine has the directory through which results come out. */
export const EXCHANGE = '/run/virt-sandbox-bench';

/** A machine that is emulated on a busy host takes its time. */
const BOOT_SECONDS = 180;

/** @throws {Error} if the host has not that much memory free */
export function checkMemory(wanted: string, meminfo = readFileSync('/proc/meminfo', 'utf8')): void {
  const bytes = parseMemory(wanted, '--memory');
  const available = Number(/^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1] ?? Number.POSITIVE_INFINITY) * 1024;
  if (bytes <= available) return;
  const mebibytes = (value: number) => `${Math.floor(value / 2 ** 20)} MiB`;
  throw new Error(
    `nested needs ${mebibytes(bytes)} of memory and the host has ${mebibytes(available)} free; free some, or take less ` +
      'by --memory',
  );
}

/** The command line of virt-sandbox. @param exchange host directory that the machine writes to, and is named by */
export function machineArgv({ memory, vcpus, mounts = [] }: NestedMachine, exchange: string, inside: Inside): string[] {
  const own = packageDirectory();
  return [
    ...[
      '--name',
      basename(exchange),
      '--privileged',
      '--nested-kvm',
      '--accel',
      'tcg',
      '--connect',
      'qemu:///embed',
      '--boot',
      'cold',
    ],
    ...['--boot-timeout', String(BOOT_SECONDS), '--memory', memory],
    ...['--vcpus', String(vcpus ?? Math.min(2, availableParallelism()))],
    ...mounts.flatMap((mount) => ['--mount', mount]),
    // The root inside is the host's, but for directories such as /tmp.
    ...['--mount', `host-bind:${own}=${own},ro`, '--mount', `host-bind:${EXCHANGE}=${exchange}`],
    ...['--env', `${NESTED_VARIABLE}=1`, '--env', 'LIBVIRT_DEFAULT_URI=qemu:///embed', '--cwd', '/'],
    // Node.js may be in no usual place.
    ...['--env', `PATH=${dirname(process.execPath)}:${searchPath()}`],
    ...['--', 'sh', '-c', insideScript(inside)],
  ];
}

/** An emulated machine that has not ended in time. */
export class LateMachine extends Error {
  /** @param limitMs in milliseconds */
  constructor(limitMs: number) {
    super(`the emulated machine was killed, since it had not ended after ${Math.round(limitMs / 60_000)} minutes`);
  }
}

/** The most that a timer waits. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * Runs it until it is over. Its stderr is ours. What it writes to stdout is dropped.
 * @param signal interrupts the program inside, which then reports what it has
 * @param limitMs when it is killed, in milliseconds: one that has hung answers no signal
 * @returns the exit status: of the script, of the program inside, or 125 if the machine itself failed
 * @throws {LateMachine} if it was killed for that
 * @throws {Error} if somebody else killed it
 */
export async function runMachine(argv: readonly string[], signal: AbortSignal, limitMs?: number): Promise<number> {
  // Ctrl+C reaches this program only, and once.
  const machine: ChildProcess = spawn(programPath(), argv, { stdio: ['ignore', 'ignore', 'inherit'], detached: true });
  const interrupt = () => void machine.kill('SIGINT');
  signal.addEventListener('abort', interrupt, { once: true });
  // A second interruption ends this program at once, and the machine with it.
  const endWithThis = () => void machine.kill('SIGTERM');
  process.once('exit', endWithThis);
  if (signal.aborted) interrupt();
  let isLate = false;
  const end = () => {
    isLate = true;
    machine.kill('SIGKILL');
  };
  const most = Math.min(limitMs ?? LONGEST_MS, LONGEST_MS);
  const late = limitMs === undefined ? undefined : setTimeout(end, most);
  try {
    const [status, killed] = (await once(machine, 'exit')) as [number | null, NodeJS.Signals | null];
    if (isLate) throw new LateMachine(most);
    if (killed !== null) throw new Error(`virt-sandbox, which runs the emulated machine, was ended by ${killed}`);
    return status ?? 0;
  } finally {
    clearTimeout(late);
    signal.removeEventListener('abort', interrupt);
    process.off('exit', endWithThis);
  }
}
