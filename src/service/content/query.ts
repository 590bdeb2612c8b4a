/** Runs a program that answers questions about packages. */
import { execa } from 'execa';
import { quote } from '../../config/errors.js';
import { serviceError } from '../errors.js';

/** In milliseconds. A busy host takes its time. */
const TIMEOUT = 120_000;
/** More than the files of all packages of a host. */
const MOST_BYTES = 256 * 2 ** 20;

/**
 * The lines that it prints. 1 is the status of dpkg-query and rpm where something was not found.
 * @throws {SandboxError} `package-query-failed`
 */
export async function queryLines(program: string, args: readonly string[]): Promise<string[]> {
  const { exitCode, stdout, stderr, shortMessage, signal, timedOut, isMaxBuffer } = await execa(program, args, {
    reject: false,
    timeout: TIMEOUT,
    maxBuffer: MOST_BYTES,
    stdin: 'ignore',
    env: { LC_ALL: 'C' },
  });
  if (exitCode === 0 || exitCode === 1) return stdout.split('\n');
  // What it has said so far may be a half of what there is.
  if (signal !== undefined && !timedOut && !isMaxBuffer)
    throw serviceError(
      'package-query-failed',
      `${quote(program)}, which says which packages there are, was ended by ${signal}`,
      'try again',
    );
  throw serviceError(
    'package-query-failed',
    `${quote(program)} does not say which packages there are: ${stderr?.trim().split('\n').at(-1) || shortMessage}`,
    'repair its database, or name files with --copy-path instead',
  );
}
