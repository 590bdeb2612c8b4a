/** virt-sandbox-ctl logs: what the application of a detached sandbox has written. */
import type { LogRecord } from '../../control/log.js';
import { readLog } from '../../control/read-log.js';
import { findRunning } from '../../sandbox/state/running.js';
import { Printer } from '../terminal/output.js';
import { type CtlArguments, isSet, textOf, usageError } from './arguments.js';
import { sinceTime } from './times.js';

/** @returns the exit status */
export async function logs(args: CtlArguments): Promise<number> {
  const [name = ''] = args.words;
  const given = textOf(args, 'since');
  const since = given === undefined ? undefined : sinceTime(given, Date.now());
  const tail = tailLines(textOf(args, 'tail'));
  const sandbox = await findRunning(name);
  // Count first and skip then: nothing has to be kept, however long the log is.
  const skipped = tail === undefined ? 0 : (await countLines(readLog(sandbox, { since }))) - tail;
  const records = readLog(sandbox, { since, follow: isSet(args, 'follow') });
  await new LogPrinter(isSet(args, 'timestamps')).print(records, skipped);
  return 0;
}

/**
 * @returns undefined for all
 * @throws {SandboxError} `usage`
 */
export function tailLines(text = 'all'): number | undefined {
  if (text === 'all' || text === '-1') return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw usageError(`--tail ${JSON.stringify(text)} is no number of lines`, 'logs');
}

const NEWLINE = 0x0a;

/** Tells which records begin a line of the application. */
class LineStarts {
  readonly #unended = new Set<LogRecord['stream']>();

  begins({ stream, bytes }: LogRecord): boolean {
    const begins = !this.#unended.has(stream);
    if (bytes.at(-1) === NEWLINE) this.#unended.delete(stream);
    else this.#unended.add(stream);
    return begins;
  }
}

async function countLines(records: AsyncIterable<LogRecord>): Promise<number> {
  const starts = new LineStarts();
  let lines = 0;
  for await (const record of records) if (starts.begins(record)) lines += 1;
  return lines;
}

/** Writes each stream to its own descriptor. Both may be the same file, so one is written before the other goes on. */
class LogPrinter {
  readonly #printers = { stdout: new Printer(1), stderr: new Printer(2) };
  readonly #timestamps: boolean;
  #latest: LogRecord['stream'] = 'stdout';

  constructor(timestamps: boolean) {
    this.#timestamps = timestamps;
  }

  /** @param skipped how many lines to pass over; none if negative */
  async print(records: AsyncIterable<LogRecord>, skipped: number): Promise<void> {
    const starts = new LineStarts();
    /** Whether the line that a stream is in is shown. */
    const shown = { stdout: false, stderr: false };
    let lines = 0;
    for await (const record of records) {
      const begins = starts.begins(record);
      if (begins) lines += 1;
      if (begins) shown[record.stream] = lines > skipped;
      if (shown[record.stream]) await this.#write(record, begins);
    }
    await this.#printers[this.#latest].flush();
  }

  async #write({ time, stream, bytes }: LogRecord, begins: boolean): Promise<void> {
    if (stream !== this.#latest) await this.#printers[this.#latest].flush();
    this.#latest = stream;
    const printer = this.#printers[stream];
    if (this.#timestamps && begins) await printer.write(`${time.toISOString()} `);
    await printer.write(bytes);
  }
}
