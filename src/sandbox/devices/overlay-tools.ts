/** The programs that make the image of an overlay. */
import { basename } from 'node:path';
import { configError } from '../../config/errors.js';
import { findInPath } from '../../util/programs.js';

/** Time limit of a program, in milliseconds. */
const TIMEOUT = 60_000;

const IMAGES = 'making the image of an overlay';

/**
 * @param work that needs it
 * @returns its path
 * @throws {SandboxError} `overlay-tool-missing`
 */
export function findTool(name: string, debianPackage: string, work = IMAGES): string {
  const found = findInPath(name);
  if (found !== undefined) return found;
  throw configError(
    'overlay-tool-missing',
    `${work} needs ${name}, which is not in PATH`,
    `install it (Debian: ${debianPackage})${work === IMAGES ? ', or name an image that is there' : ''}`,
  );
}

/**
 * @param options `name` is that of what the program runs, and `timeout` is in milliseconds; 0: there is none
 * @returns what it writes to stdout
 * @throws {SandboxError} `overlay-tool-killed`
 * @throws what else it fails with
 */
export async function runTool(
  program: string,
  args: readonly string[],
  { timeout = TIMEOUT, name = basename(program) }: { readonly timeout?: number; readonly name?: string } = {},
): Promise<string> {
  const { execa } = await import('execa');
  const { failed, timedOut, signal, stdout, stderr, shortMessage } = await execa(program, args, {
    reject: false,
    timeout,
    stdin: 'ignore',
    env: { LC_ALL: 'C', MKE2FS_CONFIG: '/dev/null' },
  });
  if (!failed) return stdout ?? '';
  if (!timedOut && signal !== undefined) throw killed(name, signal);
  // mount(8) indents advice behind the reason.
  const lines = stderr?.split('\n').filter((line) => /^\S/.test(line));
  throw new Error(lines?.at(-1) || shortMessage || `${name} failed`);
}

function killed(name: string, signal: string) {
  return configError(
    'overlay-tool-killed',
    `${name} for the state of an overlay was ended by ${signal}`,
    signal === 'SIGKILL'
      ? 'try again; if nobody has ended it, the host may have too little memory: see dmesg'
      : 'try again',
  );
}
