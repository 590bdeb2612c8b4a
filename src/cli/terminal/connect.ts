/** Connects this process with a program at the far end: keyboard or standard input, output, signals. */
import type { Readable } from 'node:stream';
import { attachTerminal, copyIn, forwardSignals, type Program } from './forward.js';
import { hasHungUp } from './hang-up.js';
import { copyOut, ReaderGone } from './output.js';

export interface ConnectOptions {
  /** The program has the local terminal; else it has standard input as a pipe. */
  readonly tty: boolean;
  /** Without the local terminal: whether it gets standard input; default: yes. Else it reads nothing. */
  readonly input?: boolean;
  /** Ctrl+] was pressed at the terminal. */
  readonly onLeave: () => void;
  /** The local terminal is gone. */
  readonly onHangUp: () => void;
  /** Nobody reads our output any more; called once for each stream. */
  readonly onReaderGone: () => void;
  /** Standard input cannot be read, or output cannot be written; called once for each stream. */
  readonly onFailure: (error: unknown) => void;
}

export interface Streams {
  /** Of stdout and stderr: each settles when all is written, or cannot be. Callers may ignore the failures. */
  readonly copies: readonly Promise<void>[];
  /** Disconnects the keyboard; the terminal gets its settings back. More calls do nothing. */
  readonly detach: () => void;
  /** Disconnects keyboard and signals. */
  readonly release: () => void;
}

/** @param copyErrors what takes the program's stderr: to descriptor 2 by default */
export function connectStreams(
  program: Program & { readonly stdout: Readable; readonly stderr: Readable },
  { tty, input = true, onLeave, onHangUp, onReaderGone, onFailure }: ConnectOptions,
  copyErrors = () => copyOut(program.stderr, 2),
): Streams {
  const detach = tty ? attachTerminal(program, onLeave, onHangUp) : () => {};
  const releaseSignals = forwardSignals(program, tty);
  if (!tty && input) copyIn(program, onFailure);
  if (!tty && !input) program.stdin.end();
  const copies = [copyOut(program.stdout, 1), copyErrors()];
  for (const copy of copies) {
    copy.catch((error: unknown) => {
      if (error instanceof ReaderGone) onReaderGone();
      else if (hasHungUp()) onHangUp();
      else onFailure(error);
    });
  }
  return {
    copies,
    detach,
    release: () => {
      detach();
      releaseSignals();
    },
  };
}
