/** The processes of this host, and what each does for a sandbox. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

export interface Process {
  readonly pid: number;
  readonly parent: number;
  /** In clock ticks since boot: with the PID it names one process for ever. */
  readonly started: number;
  /** As /proc/PID/stat has it: R, S, D, Z, T, … */
  readonly state: string;
  readonly words: readonly string[];
  /** The kernel's name for it. */
  readonly command: string;
}

/** Every process that /proc shows. */
export function processes(): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => processOf(Number(name)) ?? []);
}

/** One process; undefined if it has ended. */
export function processOf(pid: number): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name is in parentheses and may have some itself.
    const end = stat.lastIndexOf(')');
    const fields = stat.slice(end + 2).split(' ');
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
    return {
      pid,
      parent: Number(fields[1]),
      started: Number(fields[19]),
      state: fields[0] ?? '',
      words,
      command: stat.slice(stat.indexOf('(') + 1, end),
    };
  } catch {
    return undefined;
  }
}

/** Names one process for ever, as `PID@START`. */
export function keyOf({ pid, started }: Process): string {
  return `${pid}@${started}`;
}

/** For people: the PID, the state, and the beginning of the command line. */
export function describeProcess({ pid, parent, state, words, command }: Process): string {
  return `${pid} (parent ${parent}, ${state}) ${words.join(' ').slice(0, 160) || `[${command}]`}`;
}

/** What a process does for a sandbox: the name of its program, or `launcher`. */
export function roleOf({ words, command }: Process): string {
  const program = basename(words[0] ?? command);
  if (program === 'node') return words.some((word) => /\/virt-sandbox$/.test(word)) ? 'launcher' : 'node';
  if (program.startsWith('qemu-system-')) return 'qemu';
  return program.startsWith('passt') ? 'passt' : program;
}

/** How many descriptors a process has open, and its resident memory in KiB; undefined if it has ended. */
export function usageOf(pid: number): { readonly descriptors: number; readonly kib: number } | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return {
      descriptors: readdirSync(`/proc/${pid}/fd`).length,
      kib: Number(/^VmRSS:\s*(\d+)/m.exec(status)?.[1] ?? 0),
    };
  } catch {
    return undefined;
  }
}

/** Sends a signal. @returns false if the process has ended */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}
