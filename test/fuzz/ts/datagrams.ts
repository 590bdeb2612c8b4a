/** The datagrams that a guest sends to clients of a published port: the same in any pieces, of the bytes that it sent. */
import assert from 'node:assert/strict';
import { ProtocolError } from '../../../src/protocol/fields.js';
import { DatagramReader, datagramRecord, MOST_DATAGRAM_BYTES } from '../../../src/sandbox/publish/datagrams.js';
import type { Target } from './support/target.js';

/** What comes of a stream in pieces of a size, and whether it was refused behind that. */
function cut(stream: Buffer, size: number): { readonly datagrams: Buffer[]; readonly isRefused: boolean } {
  const datagrams: Buffer[] = [];
  const reader = new DatagramReader();
  try {
    for (let at = 0; at < stream.length; at += size)
      for (const datagram of reader.read(stream.subarray(at, at + size))) datagrams.push(Buffer.from(datagram));
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { datagrams, isRefused: true };
  }
  return { datagrams, isRefused: false };
}

export const target: Target = {
  kind: 'sync',
  mostBytes: 4096,
  quickRuns: 20_000,
  repeats: true,
  read(data) {
    const stream = data.subarray(1);
    const whole = cut(stream, Math.max(stream.length, 1));
    assert.deepEqual(cut(stream, 1 + (data[0] ?? 0)), whole);
    assert.ok(whole.datagrams.every(({ length }) => length <= MOST_DATAGRAM_BYTES));
    const records = Buffer.concat(whole.datagrams.map(datagramRecord));
    assert.ok(stream.subarray(0, records.length).equals(records));
    const rest = stream.subarray(records.length);
    // What is left is refused, or no whole record.
    const size = rest.length < 4 ? 0 : rest.readUInt32BE(0);
    assert.equal(whole.isRefused, size > MOST_DATAGRAM_BYTES);
    assert.ok(whole.isRefused || rest.length < 4 + size);
  },
};
