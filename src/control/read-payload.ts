/** Reads the fields of a packet. */
import { FieldReader } from '../protocol/fields.js';

/** @throws {ProtocolError} unless `take` reads the payload to the last byte */
export function readPayload<T>(payload: Buffer, take: (r: FieldReader) => T): T {
  const r = new FieldReader(payload);
  const value = take(r);
  r.end();
  return value;
}
