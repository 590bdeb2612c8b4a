/** What programs of a guest write of files: records in any pieces, and the names and numbers in them. */
import assert from 'node:assert/strict';
import { ProtocolError } from '../../../src/protocol/fields.js';
import { RecordParser } from '../../../src/sandbox/files/record-parser.js';
import { decodeChange, decodeEntry, decodeStatus } from '../../../src/sandbox/files/records.js';
import { bytesOf } from '../../../src/util/raw-text.js';
import { valueOrRefusal } from './support/expect.js';
import type { Target } from './support/target.js';

interface Seen {
  readonly records: Buffer[];
  refusal: string | undefined;
}

/** Cuts in pieces of a size. */
function cut(stream: Buffer, size: number): Seen {
  const seen: Seen = { records: [], refusal: undefined };
  const parser = new RecordParser();
  try {
    for (let at = 0; at < stream.length; at += size) seen.records.push(...parser.push(stream.subarray(at, at + size)));
    parser.end();
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    seen.refusal = error.message;
  }
  return seen;
}

/** A name of an entry names that entry, by the bytes that the guest sent. */
function requireEntryName(name: string, record: Buffer): void {
  const bytes = bytesOf(name);
  assert.ok(bytes.length > 0 && bytes.length <= 255);
  assert.ok(!bytes.includes(0) && !bytes.includes('/') && name !== '.' && name !== '..');
  assert.ok(record.includes(bytes), 'a name is not that of the guest');
}

function decode(record: Buffer): void {
  const entry = valueOrRefusal(() => decodeEntry(record), ProtocolError);
  const status = valueOrRefusal(() => decodeStatus(record), ProtocolError);
  if (entry !== undefined) {
    requireEntryName(entry.name, record);
    const { name: _name, ...rest } = entry;
    assert.deepEqual(rest, status);
  }
  if (status !== undefined) {
    assert.ok(!Number.isNaN(status.modified.getTime()) && status.size >= 0 && status.mode <= 0o7777);
    if (status.target !== undefined) assert.ok(record.includes(bytesOf(status.target)));
  }
  const change = valueOrRefusal(() => decodeChange(record), ProtocolError);
  if (change !== undefined && change.name !== '') {
    assert.ok(bytesOf(change.name).length <= 4095);
    for (const name of change.name.split('/')) requireEntryName(name, record);
  }
}

export const target: Target = {
  kind: 'sync',
  mostBytes: 4096,
  quickRuns: 20_000,
  read(data) {
    const size = data[0] ?? 0;
    const stream = data.subarray(1);
    const whole = cut(stream, Math.max(stream.length, 1));
    const pieces = cut(stream, size + 1);
    assert.equal(pieces.refusal, whole.refusal);
    // With a refusal, what came before it in its piece is lost.
    if (whole.refusal === undefined || pieces.refusal?.includes('in the middle')) {
      const [some, all] = [pieces, whole].map(({ records }) => records.map((record) => record.toString('latin1')));
      assert.deepEqual(some, all);
    }
    for (const record of [...whole.records, ...pieces.records]) decode(record);
  },
};
