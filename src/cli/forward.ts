/** The local side of the application's streams: standard input and output, the terminal, signals. */
import { createReadStream, createWriteStream, fstatSync } from 'node:fs';
import { finished } from 'node:stream/promises';
import { isSystemError } from '../errors.js';
import type { Sandbox } from '../sandbox/sandbox.js';

/** Ctrl+] */
const LEAVE = 0x1d;

/** Signals that are the application's business. */
const FORWARDED: readonly NodeJS.Signals[] = [
  'SIGINT',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGWINCH',
  'SIGTSTP',
  'SIGCONT',
];

/** Copies a stream of the application to a descriptor of this process, whose reader may be slow or gone. */
export async function copyOut(from: NodeJS.ReadableStream, fd: 1 | 2): Promise<void> {
  // process.stdout writes to a pipe synchronously, and would keep this process from everything else while the reader is slow.
  const to = createWriteStream('', { fd, autoClose: false, highWaterMark: 1 << 18 });
  from.pipe(to);
  try {
    await finished(to);
  } catch (error) {
    if (!isSystemError(error, 'EPIPE')) throw error;
    // Nobody reads any more; the application hears of it by the end of its sandbox, as from SIGPIPE.
    throw new ReaderGone();
  }
}

/** The reader of our output has gone. */
export class ReaderGone extends Error {}

/** Copies standard input to the application. */
export function copyIn(sandbox: Sandbox): void {
  const input = fstatSync(0).isFile() ? createReadStream('', { fd: 0, autoClose: false }) : process.stdin;
  input.on('error', () => sandbox.stdin.end());
  sandbox.stdin.on('error', () => {});
  input.pipe(sandbox.stdin);
}

/** Copies the keyboard to the application; Ctrl+] ends the sandbox. The terminal is raw until the returned function is called. */
export function attachTerminal(sandbox: Sandbox, onLeave: () => void): () => void {
  const { stdin } = process;
  sandbox.stdin.on('error', () => {});
  stdin.setRawMode(true);
  stdin.on('data', (bytes: Buffer) => {
    const at = bytes.indexOf(LEAVE);
    sandbox.stdin.write(at < 0 ? bytes : bytes.subarray(0, at));
    if (at >= 0) onLeave();
  });
  stdin.on('end', () => sandbox.stdin.end());
  const resize = () => void sandbox.resize(...terminalSize());
  process.on('SIGWINCH', resize);
  return () => {
    process.off('SIGWINCH', resize);
    stdin.setRawMode(false);
    stdin.pause();
  };
}

/** Rows and columns of the local terminal. */
export function terminalSize(): [number, number] {
  return [process.stdout.rows || 24, process.stdout.columns || 80];
}

/** Hands signals on to the application, until the returned function is called. */
export function forwardSignals(sandbox: Sandbox, onTerminal: boolean): () => void {
  const forwarded = FORWARDED.filter((signal) => !(onTerminal && signal === 'SIGWINCH'));
  const handlers = forwarded.map((signal) => [signal, () => void sandbox.kill(signal)] as const);
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return () => {
    for (const [signal, handler] of handlers) process.off(signal, handler);
  };
}
