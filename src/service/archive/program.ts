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

/** Of what a program says on its standard error. */
const MOST_CHARACTERS = 8192;

/** @throws {SandboxError} `tool-missing` */
export async function startProgram(argv: readonly string[]): Promise<RunningProgram> {
  for (const [name = '', debianPackage] of [
    ['setpriv', 'util-linux'],
    ['prlimit', 'util-linux'],
    ['tar', 'tar'],
    [argv[0], 'util-linux'],
  ] as const)
    if (findInPath(name) === undefined) throw toolMissing(name, 'archives of services are made', debianPackage);
  const { execa } = await import('execa');
  const running = execa('setpriv', ['--pdeathsig', 'KILL', '--', ...argv], {
    reject: false,
    buffer: false,
    env: { LC_ALL: 'C', TAR_OPTIONS: '' },
  });
  const problems = new Problems(running.stderr);
  const ended = running.then(({ failed, shortMessage }) => {
    const told = problems.first();
    return failed ? (told ?? shortMessage ?? 'it failed') : told;
  });
  return { stdin: running.stdin, stdout: running.stdout, ended, kill: () => void running.kill('SIGKILL') };
}

/**
 * What a program says is wrong. GNU tar only warns of an attribute that it cannot read or set, so a program that says
 * something has failed. The rest of a long text is read, and not kept.
 */
class Problems {
  #text = '';

  constructor(stderr: Readable) {
    stderr.setEncoding('utf8');
    stderr.on('data', (piece: string) => {
      if (this.#text.length < MOST_CHARACTERS) this.#text += piece.slice(0, MOST_CHARACTERS - this.#text.length);
    });
    stderr.on('error', () => {});
  }

  first(): string | undefined {
    const line = this.#text.split('\n').find((one) => one !== '');
    return line?.replace(/^tar: /, '');
  }
}
