/** EXIT: how the application ended, and how long the init took behind it (docs/protocol.md). */
import { FieldReader } from './fields.js';

export interface GuestExit {
  /** Raw, as wait(2) has it. */
  readonly status: number;
  /** Microseconds until the output was sent to its end and what was left running was killed; undefined from an image that was baked before the init said so. */
  readonly drained: number | undefined;
  /** Microseconds from there until every file system was synced and unmounted. */
  readonly finished: number | undefined;
}

const STATUS_BYTES = 4;

/** @throws {ProtocolError} for what is no such payload */
export function decodeExit(payload: Buffer): GuestExit {
  const r = new FieldReader(payload);
  const status = r.i32();
  if (payload.length === STATUS_BYTES) return { status, drained: undefined, finished: undefined };
  const exit = { status, drained: r.u32(), finished: r.u32() };
  r.end();
  return exit;
}
