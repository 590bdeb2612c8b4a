/** What a sandbox costs, by /proc. */
import { readdirSync } from 'node:fs';
import type { Launched } from '../sandbox/launched.js';
import { readIfThere } from '../util/small-files.js';
import type { SandboxStats } from './requests.js';

/** Clock ticks a second: sysconf(_SC_CLK_TCK), the same on every Linux. */
const TICKS = 100;
const PAGE_BYTES = 4096;

/** The controller of a container: its only child is the container's init. */
const LXC_PID = (name: string) => `/run/libvirt/lxc/${name}.pid`;

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
  readonly ticks: number;
}

export async function statsOf(launched: Launched): Promise<SandboxStats> {
  const all = processes();
  const guests = await guestsOf(launched, all);
  const supervisors = all.filter(({ parent, name }) => parent === process.pid && name === 'supervisor');
  const memory = (pids: readonly number[]) => pids.reduce((sum, pid) => sum + memoryOf(pid), 0);
  return {
    cpuSeconds: guests.reduce((sum, { ticks }) => sum + ticks, 0) / TICKS,
    memoryBytes: memory(guests.map(({ pid }) => pid)),
    holderBytes: memory([process.pid, ...supervisors.map(({ pid }) => pid)]),
    processes: launched.channel.processes,
  };
}

async function guestsOf({ connection, name, state }: Launched, all: readonly Process[]): Promise<Process[]> {
  if (connection.kind !== 'lxc') {
    const qemu = await connection.qemuPid({ name, socketDirectory: state.sockets });
    return all.filter(({ pid }) => pid === qemu);
  }
  const controller = Number.parseInt(readIfThere(LXC_PID(name)) ?? '', 10);
  return below(controller, all);
}

function below(pid: number, all: readonly Process[]): Process[] {
  return all.filter(({ parent }) => parent === pid).flatMap((child) => [child, ...below(child.pid, all)]);
}

function processes(): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const stat = readIfThere(`/proc/${name}/stat`);
      if (stat === undefined) return [];
      const end = stat.lastIndexOf(')');
      const fields = stat.slice(end + 2).split(' ');
      const [parent, user, system] = [fields[1], fields[11], fields[12]].map(Number);
      const process = { pid: Number(name), name: stat.slice(stat.indexOf('(') + 1, end) };
      return [{ ...process, parent: parent ?? 0, ticks: (user ?? 0) + (system ?? 0) }];
    });
}

/** Proportional set size; of a process of another user, whose that is secret, the resident set size. 0: it has ended. */
function memoryOf(pid: number): number {
  const [, kib] = /^Pss:\s+(\d+) kB$/m.exec(readIfThere(`/proc/${pid}/smaps_rollup`) ?? '') ?? [];
  if (kib !== undefined) return Number(kib) * 1024;
  return Number(readIfThere(`/proc/${pid}/statm`)?.split(' ')[1] ?? 0) * PAGE_BYTES;
}
