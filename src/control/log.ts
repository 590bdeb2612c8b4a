/**
 * The log of a detached sandbox: what its application writes, in `log`, which is renamed to `log.1` when it is full.
 * `log.next` is `log` then: it is there before, so that who follows the log can open it before the sandbox ends. All are
 * in the state directory, and go with the sandbox. A line has a time, a stream, a flag and the bytes:
 *
 *     2026-11-28T09:30:00.123Z stdout F hello
 *
 * F ends a line of the application, and P is a part of one that goes on, or that the application did not end.
 */

/** What the application wrote at a time. */
export interface LogRecord {
  readonly time: Date;
  readonly stream: 'stdout' | 'stderr';
  /** A line with its line feed, or a part of one. All of a stream together are what the application wrote. */
  readonly bytes: Buffer;
}

export interface ReadLogOptions {
  /** Only what was written then or later. */
  readonly since?: Date | undefined;
  /** Only so many lines of the end, as it is when the reader begins. */
  readonly tail?: number | undefined;
  /** Waits for more until the sandbox ends. */
  readonly follow?: boolean | undefined;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
}

export type LogStream = LogRecord['stream'];

export const LOG_FILE = 'log';
export const OLDER_LOG_FILE = 'log.1';
export const NEXT_LOG_FILE = 'log.next';

/** A file is full then, in bytes. */
export const LOG_BYTES = 8 << 20;

/** A longer line is written in parts, in bytes. */
export const MOST_LINE_BYTES = 16 << 10;

/** What is before the bytes of a line: `TIME stdout F `. */
export const HEADER_BYTES = 34;

const HEADER = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (stdout|stderr) ([FP]) $/;
const LINE_FEED = 0x0a;

/** Lines of the log. */
export function encodeLines(stream: LogStream, bytes: Buffer, now: Date): Buffer {
  const time = now.toISOString();
  const ended = Buffer.from(`${time} ${stream} F `);
  const part = Buffer.from(`${time} ${stream} P `);
  const feed = Buffer.of(LINE_FEED);
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const found = bytes.indexOf(LINE_FEED, at);
    const end = Math.min(found < 0 ? bytes.length : found, at + MOST_LINE_BYTES);
    const isEnded = end === found;
    pieces.push(isEnded ? ended : part, bytes.subarray(at, end), feed);
    at = isEnded ? end + 1 : end;
  }
  return Buffer.concat(pieces);
}

/**
 * @param line without its line feed
 * @returns undefined for what is no line of a log, as one that was not written to its end
 */
export function decodeLine(line: Buffer): LogRecord | undefined {
  const [, time = '', stream, flag] = HEADER.exec(line.toString('latin1', 0, HEADER_BYTES)) ?? [];
  const date = new Date(time);
  if (stream === undefined || Number.isNaN(date.getTime())) return undefined;
  const bytes = line.subarray(HEADER_BYTES);
  const whole = flag === 'F' ? Buffer.concat([bytes, Buffer.of(LINE_FEED)]) : Buffer.from(bytes);
  return { time: date, stream: stream as LogStream, bytes: whole };
}
