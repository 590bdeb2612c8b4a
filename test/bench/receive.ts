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
process.stdout.write(JSON.stringify(receive(openSync(pipe, 'r'), readFileSync(file))));

function receive(input: number, expected: Buffer): Received {
  const buffer = Buffer.alloc(2 ** 16);
  const first = readSync(input, buffer);
  const start = process.hrtime.bigint();
  let [last, bytes, equal] = [start, 0, 0];
  for (let length = first; length > 0; length = readSync(input, buffer)) {
    if (bytes > 0) last = process.hrtime.bigint();
    const isEqual = buffer.subarray(0, length).equals(expected.subarray(bytes, bytes + length));
    if (isEqual && equal === bytes) equal += length;
    bytes += length;
  }
  return { bytes, first, seconds: Number(last - start) / 1e9, equal, total: expected.length };
}
