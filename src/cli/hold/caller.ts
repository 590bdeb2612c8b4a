/**
 * How the process that holds a detached sandbox, or a pool, talks with the one that has started it, meanwhile: over a
 * socket at descriptor 3, with one line of JSON for each message. The end of the socket before `taken` cancels the start.
 */

import type { Socket } from 'node:net';
import type { LaunchOptions } from '../../sandbox/types.js';
import type { Failure } from '../program.js';
import { programName } from '../program-name.js';
import { reporter, type Verbosity } from './report.js';

/** The first word of the command line of one that holds a sandbox. */
export const HOLD = '--hold';

/** That of one that holds a pool. Its words are the pool's name and size, then the options of its sandboxes. */
export const HOLD_POOL = '--hold-pool';

/** That of one that holds a service. Its only word is the name of the service. */
export const HOLD_SERVICE = '--hold-service';

export const CALLER_FD = 3;

/** To the holder. */
export type FromCaller =
  /** The words of the command line, the name of the program, and variables that the holder has its own values of. */
  | {
      readonly words: readonly string[];
      readonly program: string;
      readonly allocator: readonly (readonly [string, string | undefined])[];
    }
  /** The name is printed: from now on the holder is on its own. */
  | { readonly taken: true };

/** To the caller. */
export type FromHolder =
  | { readonly verbosity: Verbosity }
  /** An observer's name and argument. */
  | { readonly observed: keyof Observed; readonly value: unknown }
  /** A line to show, when it runs. */
  | { readonly note: string }
  | { readonly failed: Failure }
  | { readonly running: string };

type Observed = Omit<ReturnType<typeof reporter>, 'done'>;

/** More than a caller has unread that does not read any more, as one that is stopped, in bytes. */
const MOST_UNREAD_BYTES = 4 << 20;

/** Tells the caller. What is only to be shown is left out while it has too much unread. */
export class Teller {
  readonly #socket: Pick<Socket, 'writable' | 'writableLength' | 'write'>;
  #leftOut = 0;

  constructor(socket: Pick<Socket, 'writable' | 'writableLength' | 'write'>) {
    this.#socket = socket;
  }

  tell(message: FromHolder): void {
    if (!this.#socket.writable) return;
    const isShown = 'observed' in message || 'note' in message;
    if (isShown && this.#socket.writableLength > MOST_UNREAD_BYTES) {
      this.#leftOut += 1;
      return;
    }
    if (this.#leftOut > 0)
      sendMessage(this.#socket, {
        note: `${programName()}: ${this.#leftOut} messages were left out: nobody read them\n`,
      });
    this.#leftOut = 0;
    sendMessage(this.#socket, message);
  }
}

export function sendMessage(socket: Pick<Socket, 'write'>, message: FromCaller | FromHolder): void {
  socket.write(`${JSON.stringify(message)}\n`);
}

/** The messages of the other side, until it closes its end. Both sides are this program. */
export async function* messagesOf<T extends FromCaller | FromHolder>(socket: Socket): AsyncGenerator<T> {
  let rest = '';
  socket.setEncoding('utf8');
  // It is written to after the last message, too.
  for await (const text of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<string>) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield JSON.parse(line) as T;
  }
}

/** Observers that tell the caller what it would show. */
export function observersFor(verbosity: Verbosity, tell: (message: FromHolder) => void): Partial<LaunchOptions> {
  tell({ verbosity });
  const { done: _done, ...wanted } = reporter(verbosity);
  const names = Object.keys(wanted) as (keyof Observed)[];
  const observer = (name: keyof Observed) => (value: unknown) => tell({ observed: name, value: plain(value) });
  return Object.fromEntries(names.map((name) => [name, observer(name)]));
}

function plain(value: unknown): unknown {
  return Buffer.isBuffer(value) ? value.toString('base64') : inWords(value);
}

/**
 * What JSON has no words for becomes text, or is left out. This is not for a replacer of JSON.stringify: before that
 * sees a Buffer, toJSON() has made an array of its bytes, which are all of an included file.
 */
function inWords(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Error) return { message: value.message };
  if (value instanceof Uint8Array) return undefined;
  if (Array.isArray(value)) return value.map(inWords);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, inWords(part)]));
}

/** Calls an observer with what {@link observersFor} has made plain. */
export function observe(observers: Observed, name: keyof Observed, value: unknown): void {
  const call = observers[name] as ((value: unknown) => void) | undefined;
  if (name === 'onConsole') call?.(Buffer.from(value as string, 'base64'));
  else if (name === 'onReady') call?.(readyOf(value as { initStarted: string; initReady: string }));
  else call?.(value);
}

function readyOf({ initStarted, initReady, ...ready }: { initStarted: string; initReady: string }): unknown {
  return { ...ready, initStarted: BigInt(initStarted), initReady: BigInt(initReady) };
}
