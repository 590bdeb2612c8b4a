/** The programs that write and read the state of a service: they end when this process does, however that ends. */
import type { Readable, Writable } from 'node:stream';
import { findInPath } from '../../util/programs.js';
import { toolMissing } from '../clone/errors.js';

export interface RunningProgram {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Why it failed; undefined: it did what it was to do. */
  readonly ended: Promise<string | undefined>;
  kill(): void;
}

/** @throws {SandboxError} `tool-missing` */
export async function startProgram(argv: readonly string[]): Promise<RunningProgram> {
  for (const [name = '', debianPackage] of [
    ['setpriv', 'util-linux'],
    ['tar', 'tar'],
    [argv[0], 'util-linux'],
  ] as const)
    if (findInPath(name) === undefined) throw toolMissing(name, 'archives of services are made', debianPackage);
  const { execa } = await import('execa');
  const running = execa('setpriv', ['--pdeathsig', 'KILL', '--', ...argv], {
    reject: false,
    buffer: { stdout: false, stderr: true },
    maxBuffer: 65_536,
    env: { LC_ALL: 'C', TAR_OPTIONS: '' },
  });
  const ended = running.then(({ failed, stderr, shortMessage }) => {
    const told = problemIn(stderr);
    return failed ? told || stderr.trim().split('\n').at(-1) || (shortMessage ?? 'it failed') : told;
  });
  return { stdin: running.stdin, stdout: running.stdout, ended, kill: () => void running.kill('SIGKILL') };
}

/** GNU tar only warns of an attribute that it cannot read or set. A socket is nothing without who listens there. */
function problemIn(stderr: string): string | undefined {
  const lines = stderr.split('\n').filter((line) => line !== '' && !/socket ignored$|Exiting with failure/.test(line));
  return lines[0]?.replace(/^tar: /, '');
}
