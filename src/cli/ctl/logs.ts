/** virt-sandbox-ctl logs: what the application of a detached sandbox has written. */
import { StringDecoder } from 'node:string_decoder';
import { isatty } from 'node:tty';
import type { LogRecord } from '../../control/log.js';
import { LineStarts } from '../../control/log-lines.js';
import { readLog } from '../../control/read-log.js';
import { findRunning } from '../../sandbox/state/running.js';
import { escapeLines } from '../../util/errors.js';
import { Printer } from '../terminal/output.js';
import { type CtlArguments, isSet, textOf, usageError } from './arguments.js';
import { type Fail, sinceTime } from './times.js';

const logsError: Fail = (message) => usageError(message, 'logs');

/** @returns the exit status */
export async function logs(args: CtlArguments): Promise<number> {
  const [name = ''] = args.words;
  const given = textOf(args, 'since');
  const since = given === undefined ? undefined : sinceTime(given, Date.now(), logsError);
  const tail = tailLines(textOf(args, 'tail'));
  const sandbox = await findRunning(name);
  const records = readLog(sandbox, { since, tail, follow: isSet(args, 'follow') });
  await new LogPrinter({ timestamps: isSet(args, 'timestamps'), isForeign: sandbox.user !== undefined }).print(records);
  return 0;
}

/**
 * @param fail makes the error of a wrong text
 * @returns undefined for all
 */
export function tailLines(text = 'all', fail: Fail = logsError): number | undefined {
  if (text === 'all' || text === '-1') return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw fail(`--tail ${JSON.stringify(text)} is no number of lines`);
}

export interface LogPrinterOptions {
  /** Each line has its time in front. */
  readonly timestamps: boolean;
  /** The log is another user's, or of what may want to harm who reads it. */
  readonly isForeign: boolean;
}

/** Writes each stream to its own descriptor. Both may be the same file, so one is written before the other goes on. */
export class LogPrinter {
  readonly #printers = { stdout: new Printer(1), stderr: new Printer(2) };
  readonly #timestamps: boolean;
  /** What makes text of a stream's bytes that a terminal may have. Undefined: they are written as they are. */
  readonly #shown: Readonly<Record<LogRecord['stream'], ForeignText | undefined>>;
  #latest: LogRecord['stream'] = 'stdout';

  constructor({ timestamps, isForeign }: LogPrinterOptions) {
    this.#timestamps = timestamps;
    const shown = (fd: number) => (isForeign && isatty(fd) ? new ForeignText() : undefined);
    this.#shown = { stdout: shown(1), stderr: shown(2) };
  }

  async print(records: AsyncIterable<LogRecord>): Promise<void> {
    const starts = new LineStarts();
    for await (const record of records) await this.#write(record, starts.begins(record));
    await this.#printers[this.#latest].flush();
  }

  async #write({ time, stream, bytes }: LogRecord, begins: boolean): Promise<void> {
    if (stream !== this.#latest) await this.#printers[this.#latest].flush();
    this.#latest = stream;
    const printer = this.#printers[stream];
    if (this.#timestamps && begins) await printer.write(`${time.toISOString()} `);
    await printer.write(this.#shown[stream]?.of(bytes) ?? bytes);
  }
}

/** A stream that another user has written, for a terminal: it does nothing to it, and what is no UTF-8 is U+FFFD. */
export class ForeignText {
  readonly #decoder = new StringDecoder('utf8');

  /** The text of the next bytes. A letter whose bytes are not all there comes with the rest of them. */
  of(bytes: Buffer): string {
    return escapeLines(this.#decoder.write(bytes));
  }
}
