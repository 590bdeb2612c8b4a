/** The EXIT message: how a process ended, and how long the init took to clean up (docs/protocol.md). */
import { FieldReader, FieldWriter } from './fields.js';
import { ExitFlag } from './wire.js';

export interface GuestExit {
  /** Raw wait status: wait(2). */
  readonly status: number;
  /** It was killed because its time was over. */
  readonly timedOut: boolean;
  /** Microseconds until all output was sent and, of the application, all other processes were killed. */
  readonly drained: number;
  /** Microseconds after that until every file system was synced and unmounted; 0 for others than the application. */
  readonly finished: number;
}

/** Inverse of {@link decodeExit}. */
export function encodeExit({ status, timedOut, drained, finished }: GuestExit): Buffer {
  const flags = timedOut ? ExitFlag.TIMED_OUT : 0;
  return new FieldWriter().u32(status).u32(flags).u32(drained).u32(finished).finish();
}

/** @throws {ProtocolError} when the payload is malformed */
export function decodeExit(payload: Buffer): GuestExit {
  const r = new FieldReader(payload);
  const status = r.i32();
  const timedOut = (r.u32() & ExitFlag.TIMED_OUT) !== 0;
  const exit = { status, timedOut, drained: r.u32(), finished: r.u32() };
  r.end();
  return exit;
}
