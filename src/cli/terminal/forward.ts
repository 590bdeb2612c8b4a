/** The local side of the application's streams: standard input, the terminal, signals. Its output: output.ts. */
import { spawnSync } from 'node:child_process';
import { createReadStream, fstatSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { isatty } from 'node:tty';
import { messageOf, SandboxError } from '../../util/errors.js';

/** What runs at the far end: an application, or a shell beside it. */
export interface Program {
  readonly stdin: Writable;
  kill(signal: NodeJS.Signals): Promise<void>;
  resize(rows: number, columns: number): Promise<void>;
}

/** Signals that end what runs at the far end where it does not end by itself. */
export const ENDING = ['SIGTERM', 'SIGHUP'] as const;

/** Ctrl+] */
const LEAVE = 0x1d;

/** Signals that are the application's business. */
const FORWARDED: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGCONT'];

/**
 * Copies standard input to the application.
 * @param onFailure told when it cannot be read, with a {@link SandboxError} `input-failed`
 */
export function copyIn(sandbox: Pick<Program, 'stdin'>, onFailure: (error: SandboxError) => void): void {
  const status = fstatSync(0);
  // For a directory process.stdin is an empty stream, where reading it is an error.
  const fromDisk = status.isFile() || status.isDirectory();
  const input: Readable = fromDisk ? createReadStream('', { fd: 0, autoClose: false }) : process.stdin;
  input.on('error', (error) =>
    onFailure(
      new SandboxError({
        stage: 'application',
        code: 'input-failed',
        message: `standard input cannot be read: ${messageOf(error)}`,
        remedy: 'give a file or a pipe that can be read, or </dev/null',
        cause: error,
      }),
    ),
  );
  // An application that has ended wants no more of it.
  sandbox.stdin.on('error', () => {});
  input.pipe(sandbox.stdin);
}

/** Copies the keyboard to the application until the returned function is called; until then the terminal is raw. Ctrl+] calls `onLeave`. */
export function attachTerminal(sandbox: Program, onLeave: () => void): () => void {
  const { stdin } = process;
  const onEnd = () => void sandbox.stdin.end();
  const onData = (bytes: Buffer) => {
    const at = bytes.indexOf(LEAVE);
    sandbox.stdin.write(at < 0 ? bytes : bytes.subarray(0, at));
    if (at >= 0) onLeave();
  };
  const resize = () => void sandbox.resize(...terminalSize());
  sandbox.stdin.on('error', () => {});
  stdin.setRawMode(true);
  // Node's raw mode still makes CR LF of LF, which the guest's terminal has done already; it is put back with the rest.
  spawnSync('stty', ['-opost'], { stdio: [0, 'ignore', 'ignore'] });
  stdin.on('error', onEnd).on('end', onEnd).on('data', onData);
  // Whoever had the keyboard before, as the shell of a breakpoint, has paused it.
  stdin.resume();
  process.on('SIGWINCH', resize);
  return () => {
    process.off('SIGWINCH', resize);
    stdin.off('error', onEnd).off('end', onEnd).off('data', onData);
    // It may fail later, with nobody who could do anything about it.
    stdin.on('error', () => {});
    stdin.setRawMode(false);
    stdin.pause();
  };
}

/** What a program inside is told of the local terminal. */
export function localTerminal(): { readonly rows: number; readonly columns: number; readonly type: string } {
  const [rows, columns] = terminalSize();
  return { rows, columns, type: process.env['TERM'] ?? 'linux' };
}

/** Rows and columns of the local terminal. */
function terminalSize(): [number, number] {
  // Looking at process.stdout is what makes Node set it up.
  if (!isatty(1)) return [24, 80];
  return [process.stdout.rows || 24, process.stdout.columns || 80];
}

/** Hands signals on to the application, until the returned function is called. */
export function forwardSignals(sandbox: Pick<Program, 'kill'>, onTerminal: boolean): () => void {
  const forwarded = FORWARDED.filter((signal) => !(onTerminal && signal === 'SIGWINCH'));
  const handlers = forwarded.map((signal) => [signal, () => void sandbox.kill(signal)] as const);
  for (const [signal, handler] of handlers) process.on(signal, handler);
  // The application has no shell above it that could continue it, and for such a one the kernel ignores SIGTSTP. The shell above us waits for
  // this process to stop.
  const stop = () => void sandbox.kill('SIGSTOP').then(() => process.kill(process.pid, 'SIGSTOP'));
  process.on('SIGTSTP', stop);
  return () => {
    process.off('SIGTSTP', stop);
    for (const [signal, handler] of handlers) process.off(signal, handler);
  };
}
