/** The lines of a stream, as they come. */
import type { Readable } from 'node:stream';
import { Bytes } from '../../util/bytes.js';

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * Lines without their ends, which are LF or CR LF. What follows the last end is a line too, if it is not empty.
 * @param most bytes of a line, without its LF
 * @param tooLong makes the error for a longer one
 */
export async function* linesOf(stream: Readable, most: number, tooLong: () => Error): AsyncGenerator<string, void> {
  const begun = new Bytes();
  const add = (bytes: Buffer) => {
    if (begun.length + bytes.length > most) throw tooLong();
    begun.add(bytes);
  };
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      add(chunk.subarray(start, end));
      yield withoutReturn(begun.take());
      start = end + 1;
    }
    add(chunk.subarray(start));
  }
  if (begun.length > 0) yield begun.take().toString('utf8');
}

function withoutReturn(line: Buffer): string {
  return line.toString('utf8', 0, line.at(-1) === CARRIAGE_RETURN ? line.length - 1 : line.length);
}
