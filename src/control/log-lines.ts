/** Lines of the application in its log, where a long one is in several records. */
import type { LogRecord } from './log.js';

const LINE_FEED = 0x0a;

/** Tells which records begin a line. */
export class LineStarts {
  readonly #unended = new Set<LogRecord['stream']>();

  begins({ stream, bytes }: LogRecord): boolean {
    const begins = !this.#unended.has(stream);
    if (bytes.at(-1) === LINE_FEED) this.#unended.delete(stream);
    else this.#unended.add(stream);
    return begins;
  }
}

export function countLines(records: Iterable<LogRecord>): number {
  const starts = new LineStarts();
  let lines = 0;
  for (const record of records) if (starts.begins(record)) lines += 1;
  return lines;
}

/** Tells which records are behind so many lines. */
export class SkippedLines {
  readonly #starts = new LineStarts();
  /** Whether the line that a stream is in is behind them. */
  readonly #isBehind = { stdout: false, stderr: false };
  #left: number;

  /** @param lines none if negative */
  constructor(lines: number) {
    this.#left = lines;
  }

  isBehind(record: LogRecord): boolean {
    const { stream } = record;
    if (this.#starts.begins(record)) {
      this.#isBehind[stream] = this.#left <= 0;
      this.#left -= 1;
    }
    return this.#isBehind[stream];
  }
}
