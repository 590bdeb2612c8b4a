/** Runs virt-sandbox-bench. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { environment, REPOSITORY, type RunOptions } from './run.js';

export const BENCH = `${REPOSITORY}bin/virt-sandbox-bench`;

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly stderr: string;
  readonly pid: number | undefined;
}

export async function bench(
  args: readonly string[],
  {
    env = {},
    through = [],
    program = BENCH,
    cwd,
    onProgress = () => {},
  }: Pick<RunOptions, 'through' | 'program' | 'cwd'> & {
    readonly env?: Readonly<Record<string, string | undefined>> | undefined;
    readonly onProgress?: (child: ChildProcess, text: string) => void;
  } = {},
): Promise<Ended> {
  const [command = '', ...words] = [...through, program, ...args];
  const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'], env: environment(env), cwd });
  let out = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    onProgress(child, stderr);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, stderr, pid: child.pid };
}

/** The scratch directories of one process: others may measure meanwhile. */
export const scratchOf = (pid: number | undefined) =>
  readdirSync('/var/tmp').filter((name) => name.startsWith(`virt-sandbox-bench-${pid}-`));
