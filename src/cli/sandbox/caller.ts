/**
 * How the process that holds a detached sandbox talks with the one that has started it, while the sandbox starts: over a
 * socket at descriptor 3, with one line of JSON for each message. The end of the socket before `taken` cancels the start.
 */
import type { Socket } from 'node:net';
import type { LaunchOptions } from '../../sandbox/types.js';
import type { Failure } from '../program.js';
import { reporter, type Verbosity } from './report.js';

/** The first word of the holder's command line. */
export const HOLD = '--hold';

export const CALLER_FD = 3;

/** To the holder. */
export type FromCaller =
  /** The words of the command line, and variables that the holder has its own values of. */
  | { readonly words: readonly string[]; readonly allocator: readonly (readonly [string, string | undefined])[] }
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

export function sendMessage(socket: Socket, message: FromCaller | FromHolder): void {
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

/** What JSON has no words for is sent as text, or left out. */
function plain(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString('base64');
  const text = JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part === 'bigint') return String(part);
    if (part instanceof Error) return { message: part.message };
    return part instanceof Uint8Array ? undefined : part;
  });
  return JSON.parse(text);
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
