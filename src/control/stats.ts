/** What a sandbox costs, by /proc. */
import { readdirSync } from 'node:fs';
import type { Launched } from '../sandbox/launched.js';
import { valueOr } from '../util/errors.js';
import { readIfThere } from '../util/small-files.js';
import type { SandboxStats } from './requests.js';

/** Clock ticks a second: sysconf(_SC_CLK_TCK), the same on every Linux. */
const TICKS = 100;
const PAGE_BYTES = 4096;

/** The controller of a container: its only child is the container's init. */
const LXC_PID = (name: string) => `/run/libvirt/lxc/${name}.pid`;

/** How long an answer is that of later questions too, in milliseconds. Many may ask, and each costs some files. */
const FRESH_MS = 100;

interface Process {
  readonly pid: number;
  readonly name: string;
  /** Its processor time, and that of its children that have ended. */
  readonly ticks: number;
}

interface Answer {
  readonly at: number;
  readonly stats: Promise<SandboxStats>;
}

const latest = new WeakMap<Launched, Answer>();

/** What it costs now, or did a moment ago. */
export function statsOf(launched: Launched): Promise<SandboxStats> {
  const now = performance.now();
  const known = latest.get(launched);
  if (known !== undefined && now - known.at < FRESH_MS) return known.stats;
  const stats = measure(launched);
  latest.set(launched, { at: now, stats });
  return stats;
}

async function measure(launched: Launched): Promise<SandboxStats> {
  const guests = await guestsOf(launched);
  const supervisors = childrenOf(process.pid).filter(({ name }) => name === 'supervisor');
  const memory = (pids: readonly number[]) => pids.reduce((sum, pid) => sum + memoryOf(pid), 0);
  return {
    cpuSeconds: guests.reduce((sum, { ticks }) => sum + ticks, 0) / TICKS,
    memoryBytes: memory(guests.map(({ pid }) => pid)),
    holderBytes: memory([process.pid, ...supervisors.map(({ pid }) => pid)]),
    processes: launched.channel.processes,
  };
}

async function guestsOf({ connection, name, state }: Launched): Promise<Process[]> {
  if (connection.kind !== 'lxc') {
    const qemu = await connection.qemuPid({ name, socketDirectory: state.sockets });
    return qemu === undefined ? [] : readProcess(qemu);
  }
  const controller = Number.parseInt(readIfThere(LXC_PID(name)) ?? '', 10);
  return Number.isNaN(controller) ? [] : processesBelow(controller);
}

/** All that a process has started, and what that has. */
export function processesBelow(pid: number): Process[] {
  return childrenOf(pid).flatMap((child) => [child, ...processesBelow(child.pid)]);
}

/** Not by the parents of all processes: a host may have many. */
function childrenOf(pid: number): Process[] {
  const tasks = valueOr(() => readdirSync(`/proc/${pid}/task`), []);
  return tasks
    .flatMap((task) => (readIfThere(`/proc/${pid}/task/${task}/children`) ?? '').split(' ').filter((one) => one !== ''))
    .flatMap((child) => readProcess(Number(child)));
}

/** @returns none if it has ended */
function readProcess(pid: number): [Process] | [] {
  const stat = readIfThere(`/proc/${pid}/stat`);
  if (stat === undefined) return [];
  const end = stat.lastIndexOf(')');
  // utime, stime, and those of its children that have ended: cutime, cstime.
  const times = stat
    .slice(end + 2)
    .split(' ')
    .slice(11, 15)
    .map(Number);
  return [{ pid, name: stat.slice(stat.indexOf('(') + 1, end), ticks: times.reduce((sum, time) => sum + time, 0) }];
}

/** Proportional set size; of a process of another user, whose that is secret, the resident set size. 0: it has ended. */
function memoryOf(pid: number): number {
  const [, kib] = /^Pss:\s+(\d+) kB$/m.exec(readIfThere(`/proc/${pid}/smaps_rollup`) ?? '') ?? [];
  if (kib !== undefined) return Number(kib) * 1024;
  return Number(readIfThere(`/proc/${pid}/statm`)?.split(' ')[1] ?? 0) * PAGE_BYTES;
}
