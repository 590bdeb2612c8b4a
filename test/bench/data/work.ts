/** One run of the program that measures, in whichever system: its rows, and its echoes. */
import type { Readable, Writable } from 'node:stream';

/** What the program said of a row. */
export interface RowResult {
  /** By the guest's clock; by ours where the program says when it begins and is done. */
  readonly seconds: number;
  /** By the guest's clock, where `seconds` are by ours. */
  readonly guestSeconds?: number;
  readonly status: number;
  /** Numbers and digests of the lines that the row and its check have printed. */
  readonly printed: string;
  /** The last line of its stderr. */
  readonly error: string;
}

export interface Streams {
  readonly stdin: Writable;
  readonly stdout: Readable;
}

export interface Work {
  readonly rows: ReadonlyMap<string, RowResult>;
  /** Lines that came back, in a second. */
  readonly echoes: number;
}

/** What the line of a row says; undefined for another line. */
export function parseRow(line: string): readonly [string, RowResult] | undefined {
  const match = /^row (\S+) (\S+) (\d+) (\d+ [\da-f]+ \d+ [\da-f]+) ?(.*)$/.exec(line.trimEnd());
  if (match === null) return undefined;
  const [, name = '', seconds, status, printed = '', error = ''] = match;
  return [name, { seconds: Number(seconds), status: Number(status), printed, error }];
}

/** When rows began and were done, by our clock, as far as the program has said. */
class Marks {
  readonly #begun = new Map<string, number>();
  readonly #took = new Map<string, number>();

  /** Takes a line `begin NAME` or `done NAME`; false for another. */
  take(line: string): boolean {
    const [, what, name = ''] = /^(begin|done) (\S+)$/.exec(line) ?? [];
    const begun = this.#begun.get(name);
    if (what === 'begin') this.#begun.set(name, performance.now());
    else if (begun !== undefined) this.#took.set(name, (performance.now() - begun) / 1000);
    return what !== undefined;
  }

  apply(name: string, result: RowResult): RowResult {
    const seconds = this.#took.get(name);
    return seconds === undefined ? result : { ...result, seconds, guestSeconds: result.seconds };
  }
}

/**
 * Reads the rows, then sends lines and waits for each to come back.
 * @param onRow is told of each row
 * @throws {Error} when the output ends before
 */
export async function driveWork(
  { stdin, stdout }: Streams,
  echoes: number,
  onRow: (name: string, result: RowResult) => void,
): Promise<Work> {
  const rows = new Map<string, RowResult>();
  const marks = new Marks();
  let text = '';
  let begun: number | undefined;
  let left = echoes;
  for await (const piece of stdout.setEncoding('utf8') as AsyncIterable<string>) {
    text += piece;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      const line = text.slice(0, end).trimEnd();
      text = text.slice(end + 1);
      if (begun !== undefined) {
        if (line !== `line ${left}`) throw new Error(`an echo of "line ${left}" is ${JSON.stringify(line)}`);
        left -= 1;
      } else if (line === 'echoes') {
        begun = performance.now();
      } else {
        const [name, said] = marks.take(line) ? [] : (parseRow(line) ?? []);
        if (name === undefined || said === undefined) continue;
        const result = marks.apply(name, said);
        rows.set(name, result);
        onRow(name, result);
        continue;
      }
      if (left === 0) {
        const rate = (echoes / (performance.now() - begun)) * 1000;
        stdin.end('.\n');
        return { rows, echoes: rate };
      }
      stdin.write(`line ${left}\n`);
    }
  }
  throw new Error(`it ended after ${rows.size} rows${begun === undefined ? '' : `, with ${left} echoes missing`}`);
}
