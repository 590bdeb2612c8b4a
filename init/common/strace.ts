/** Runs the application under the root's strace. */
import type { Guest } from '../../src/protocol/operations.js';
import { attempt } from './attempt.js';
import type { GuestConfig, GuestTrace } from './config.js';
import { environmentOf } from './environment.js';

/** Where strace writes with a terminal: see TRACE in docs/protocol.md. */
const TRACE_FILE = '/proc/self/fd/3';

const ANY_EXECUTE = 0o111;
const TYPE = 0o170000;
const REGULAR = 0o100000;

/**
 * Uses strace -DDD: the application stays the init's child, so exit status and signals are its own. The tracer is in
 * its own session, out of reach of signals and of the terminal's keys.
 * https://man7.org/linux/man-pages/man1/strace.1.html
 */
export function tracedCommand(command: readonly string[], trace: GuestTrace, terminal: boolean): string[] {
  return [
    'strace',
    '-f',
    '-DDD',
    ...(terminal ? ['-o', TRACE_FILE] : []),
    ...(trace.expression === undefined ? [] : ['-e', trace.expression]),
    '--',
    ...command,
  ];
}

/**
 * Looks for a program as execvp(3) does. It is needed because strace exits with another status than a shell if the
 * program is missing.
 * @returns `denied` if there are only files that cannot be executed
 */
export async function lookFor(
  guest: Guest,
  program: string,
  config: GuestConfig,
): Promise<'missing' | 'denied' | 'there'> {
  const path = environmentOf(config).find((variable) => variable.startsWith('PATH='));
  const cwd = config.cwd ?? config.identity.home;
  const at = (file: string) => (file.startsWith('/') ? file : `${cwd}/${file}`);
  const candidates = program.includes('/')
    ? [at(program)]
    : (path ?? 'PATH=')
        .slice('PATH='.length)
        .split(':')
        .map((directory) => at(`${directory || '.'}/${program}`));
  const found = await Promise.all(candidates.map((path) => attempt(guest, { op: 'stat', path, follow: true })));
  const modes = found.flatMap((stat) => (stat && (stat.mode & TYPE) === REGULAR ? [stat.mode] : []));
  if (modes.length === 0) return 'missing';
  return modes.some((mode) => (mode & ANY_EXECUTE) !== 0) ? 'there' : 'denied';
}
