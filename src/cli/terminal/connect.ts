/** Connects this process with a program at the far end: keyboard or standard input, output, signals. */
import type { Readable } from 'node:stream';
import { attachTerminal, copyIn, forwardSignals, type Program } from './forward.js';
import { copyOut, ReaderGone } from './output.js';

export interface ConnectOptions {
  /** The program has the local terminal; else it has standard input as a pipe. */
  readonly tty: boolean;
  /** Ctrl+] was pressed at the terminal. */
  readonly onLeave: () => void;
  /** Nobody reads our output any more; called once for each stream. */
  readonly onReaderGone: () => void;
  /** Standard input cannot be read, or output cannot be written; called once for each stream. */
  readonly onFailure: (error: unknown) => void;
}

export interface Streams {
  /** Of stdout and stderr: each settles when all is written, or cannot be. Callers may ignore the failures. */
  readonly copies: readonly Promise<void>[];
  /** Disconnects keyboard and signals; the terminal gets its settings back. */
  readonly release: () => void;
}

/** @param copyErrors what takes the program's stderr: to descriptor 2 by default */
export function connectStreams(
  program: Program & { readonly stdout: Readable; readonly stderr: Readable },
  { tty, onLeave, onReaderGone, onFailure }: ConnectOptions,
  copyErrors = () => copyOut(program.stderr, 2),
): Streams {
  const detach = tty ? attachTerminal(program, onLeave) : () => {};
  const releaseSignals = forwardSignals(program, tty);
  if (!tty) copyIn(program, onFailure);
  const copies = [copyOut(program.stdout, 1), copyErrors()];
  for (const copy of copies) {
    copy.catch((error: unknown) => (error instanceof ReaderGone ? onReaderGone() : onFailure(error)));
  }
  return {
    copies,
    release: () => {
      detach();
      releaseSignals();
    },
  };
}
