/** A connection whose other end is a fuzzer. */
import { Duplex } from 'node:stream';

/** Takes all that is written to it. What it receives is pushed. */
export class FakeTransport extends Duplex {
  override _read(): void {}

  override _write(_chunk: unknown, _encoding: BufferEncoding, done: () => void): void {
    done();
  }
}

/** A promise that is watched: whether and how it has settled. */
export interface Watched {
  readonly name: string;
  settled: boolean;
  error: unknown;
}

export function watch(name: string, promise: Promise<unknown>): Watched {
  const watched: Watched = { name, settled: false, error: undefined };
  promise.then(
    () => {
      watched.settled = true;
    },
    (error: unknown) => {
      watched.settled = true;
      watched.error = error;
    },
  );
  return watched;
}

let escaped: unknown;
let watches = false;

/** @throws what no code caught since the last call: an event without a listener, or a rejection */
export function requireNothingEscaped(): void {
  if (!watches) {
    watches = true;
    for (const event of ['uncaughtException', 'unhandledRejection'] as const)
      process.on(event, (error: unknown) => {
        escaped ??= error ?? new Error('undefined was thrown');
      });
  }
  const error = escaped;
  escaped = undefined;
  if (error !== undefined) throw error;
}
