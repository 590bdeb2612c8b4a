/**
 * Reads the pipe $1 as fast as it can, compares its bytes with the file $2, and prints a {@link Received} as JSON. It
 * is a process of its own with blocking reads and no event loop, so that reading costs as little as possible.
 */
import { openSync, readFileSync, readSync } from 'node:fs';

/** The bytes that came out of the pipe. */
export interface Received {
  readonly bytes: number;
  /** Bytes of the first read. */
  readonly first: number;
  /** From the end of the first read to that of the last. */
  readonly seconds: number;
  /** Bytes before the first one that differs from the file; `bytes` if none differs. */
  readonly equal: number;
  /** Bytes of the file. */
  readonly total: number;
}

const [pipe = '', file = ''] = process.argv.slice(2);
const expected = readFileSync(file);
const buffer = Buffer.alloc(2 ** 16);
const input = openSync(pipe, 'r');
let bytes = 0;
let first = 0;
let start = 0n;
let last = 0n;
let equal = true;
let equalTo = 0;
for (;;) {
  const length = readSync(input, buffer);
  if (length === 0) break;
  last = process.hrtime.bigint();
  if (bytes === 0) {
    first = length;
    start = last;
  }
  equal &&= buffer.subarray(0, length).equals(expected.subarray(bytes, bytes + length));
  bytes += length;
  if (equal) equalTo = bytes;
}
const received: Received = {
  bytes,
  first,
  seconds: Number(last - start) / 1e9,
  equal: equalTo,
  total: expected.length,
};
process.stdout.write(JSON.stringify(received));
