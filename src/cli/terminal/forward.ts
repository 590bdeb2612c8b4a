/** Forwards to the program at the far end: standard input, the keyboard, signals. For its output see output.ts. */
import { spawnSync } from 'node:child_process';
import { createReadStream, fstatSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { isatty } from 'node:tty';
import { messageOf, SandboxError } from '../../util/errors.js';

/** A program at the far end: the application, or an attached shell. */
export interface Program {
  readonly stdin: Writable;
  kill(signal: NodeJS.Signals): Promise<void>;
  resize(rows: number, columns: number): Promise<void>;
}

/** Signals that end the sandbox or the attached shell, if the program at the far end does not end by itself. */
export const ENDING = ['SIGTERM', 'SIGHUP'] as const;

/** Ctrl+] */
const LEAVE = 0x1d;

/** Signals that only the program at the far end acts on. */
const FORWARDED: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGCONT'];

/**
 * Copies standard input to the program.
 * @param onFailure called with `input-failed` when standard input cannot be read
 */
export function copyIn(program: Pick<Program, 'stdin'>, onFailure: (error: SandboxError) => void): void {
  const status = fstatSync(0);
  // For a directory process.stdin is an empty stream; reading it must be an error.
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
  // The program may end before its input does.
  program.stdin.on('error', () => {});
  input.pipe(program.stdin);
}

/**
 * Copies the keyboard to the program and makes the terminal raw. Ctrl+] calls `onLeave`.
 * @param onHangUp called when the terminal is gone: in raw mode no key ends the input
 * @returns a function that ends both
 */
export function attachTerminal(program: Program, onLeave: () => void, onHangUp: () => void): () => void {
  const { stdin } = process;
  const onEnd = () => {
    program.stdin.end();
    onHangUp();
  };
  const resize = () => void program.resize(...terminalSize());
  program.stdin.on('error', () => {});
  stdin.setRawMode(true);
  // Node.js's raw mode still turns LF into CR LF, which the guest's terminal does already. Leaving raw mode undoes this
  // too.
  spawnSync('stty', ['-opost'], { stdio: [0, 'ignore', 'ignore'] });
  stdin.on('error', onEnd).on('end', onEnd);
  const release = copyKeys(stdin, program.stdin, onLeave);
  process.on('SIGWINCH', resize);
  let isAttached = true;
  return () => {
    if (!isAttached) return;
    isAttached = false;
    process.off('SIGWINCH', resize);
    release();
    stdin.off('error', onEnd).off('end', onEnd);
    // It may still fail later, which then matters no more.
    stdin.on('error', () => {});
    stdin.setRawMode(false);
    stdin.pause();
  };
}

/**
 * Copies keys at the pace of the program, also those of a long paste. While it takes none, Ctrl+] waits behind them.
 * @returns a function that ends it
 */
export function copyKeys(keyboard: Readable, to: Writable, onLeave: () => void): () => void {
  const goOn = () => void keyboard.resume();
  const onData = (bytes: Buffer) => {
    const at = bytes.indexOf(LEAVE);
    to.write(at < 0 ? bytes : bytes.subarray(0, at));
    if (at >= 0) onLeave();
    // Not where write() returns false: of a program that has ended nothing drains.
    else if (to.writableNeedDrain) keyboard.pause();
  };
  to.on('drain', goOn);
  keyboard.on('data', onData);
  // An earlier user of the keyboard, such as the shell of a breakpoint, has paused it.
  keyboard.resume();
  return () => {
    to.off('drain', goOn);
    keyboard.off('data', onData);
  };
}

/** Size and type of the local terminal, for the program's own. */
export function localTerminal(): { readonly rows: number; readonly columns: number; readonly type: string } {
  const [rows, columns] = terminalSize();
  return { rows, columns, type: process.env['TERM'] ?? 'linux' };
}

/** Rows and columns of the local terminal. */
function terminalSize(): [number, number] {
  // Reading process.stdout makes Node.js set it up, so do that only for a terminal.
  if (!isatty(1)) return [24, 80];
  return [process.stdout.rows || 24, process.stdout.columns || 80];
}

/** @returns a function that ends the forwarding */
export function forwardSignals(program: Pick<Program, 'kill'>, onTerminal: boolean): () => void {
  const forwarded = FORWARDED.filter((signal) => !(onTerminal && signal === 'SIGWINCH'));
  const handlers = forwarded.map((signal) => [signal, () => void program.kill(signal)] as const);
  for (const [signal, handler] of handlers) process.on(signal, handler);
  // The program is in an orphaned process group: no shell could continue it, so the kernel ignores SIGTSTP. SIGSTOP
  // works. Then stop this process, which our own shell waits for.
  const stop = () => void program.kill('SIGSTOP').then(() => process.kill(process.pid, 'SIGSTOP'));
  process.on('SIGTSTP', stop);
  return () => {
    process.off('SIGTSTP', stop);
    for (const [signal, handler] of handlers) process.off(signal, handler);
  };
}
