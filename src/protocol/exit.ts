/** The EXIT message: how the application ended, and how long the init took to clean up (docs/protocol.md). */
import { FieldReader } from './fields.js';

export interface GuestExit {
  /** Raw wait status: wait(2). */
  readonly status: number;
  /**
   * Microseconds until all output was sent and all processes were killed; undefined from an image whose init is too old
   * to say.
   */
  readonly drained: number | undefined;
  /** Microseconds after that until every file system was synced and unmounted; undefined as above. */
  readonly finished: number | undefined;
}

const STATUS_BYTES = 4;

/** @throws {ProtocolError} when the payload is malformed */
export function decodeExit(payload: Buffer): GuestExit {
  const r = new FieldReader(payload);
  const status = r.i32();
  if (payload.length === STATUS_BYTES) return { status, drained: undefined, finished: undefined };
  const exit = { status, drained: r.u32(), finished: r.u32() };
  r.end();
  return exit;
}
