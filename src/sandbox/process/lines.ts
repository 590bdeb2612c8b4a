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
  // Of a line that is in more than one chunk.
  const begun = new Bytes();
  const check = (more: number) => {
    if (begun.length + more > most) throw tooLong();
  };
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      check(end - start);
      if (begun.length === 0) {
        yield withoutReturn(chunk, start, end);
      } else {
        begun.add(chunk.subarray(start, end));
        const line = begun.take();
        yield withoutReturn(line, 0, line.length);
      }
      start = end + 1;
    }
    check(chunk.length - start);
    if (start < chunk.length) begun.add(chunk.subarray(start));
  }
  if (begun.length > 0) yield begun.take().toString('utf8');
}

function withoutReturn(bytes: Buffer, start: number, end: number): string {
  const isReturned = end > start && bytes[end - 1] === CARRIAGE_RETURN;
  return bytes.toString('utf8', start, isReturned ? end - 1 : end);
}
