/** The guest's kernel log, as src/sandbox/setup/inspect-guest.ts reads it. Times are seconds of the log's own clock. */

export interface LogLine {
  readonly seconds: number;
  readonly text: string;
}

/** A boot-time function of the kernel or of a module, or a driver's probe of a device. */
export interface Initcall {
  readonly name: string;
  readonly module: string | undefined;
  /** When it returned. */
  readonly end: number;
  readonly microseconds: number;
}

export interface KernelLog {
  readonly lines: readonly LogLine[];
  readonly initcalls: readonly Initcall[];
  /**
   * Add `microseconds` to a time of the log to get one of the guest's monotonic clock; `error` says how far off that
   * may be. Undefined if the log has no mark.
   */
  readonly toMonotonic: { readonly microseconds: number; readonly error: number } | undefined;
}

const LINE = /^\[\s*(\d+\.\d+)\] (.*?)(?: @@(\d+\.\d+))?$/;
const INITCALL = /^(?:initcall ([\w.]+)\+\S+(?: \[(\w+)\])?|probe of (\S+)) returned -?\d+ after (\d+) usecs$/;
const CLOCK = /^clock-(before|after) now at (\d+) nsecs$/;
const MARK = 'virt-sandbox-clock';

export function parseKernelLog(text: string): KernelLog {
  const lines: LogLine[] = [];
  const initcalls: Initcall[] = [];
  const clock: { before?: number; after?: number } = {};
  let marked: number | undefined;
  for (const raw of text.split('\n')) {
    const reading = CLOCK.exec(raw);
    if (reading) clock[reading[1] as 'before' | 'after'] = Number(reading[2]) / 1000;
    const line = LINE.exec(raw);
    if (!line) continue;
    const seconds = Number(line[1]);
    const said = line[2] ?? '';
    if (said === MARK) {
      marked = seconds * 1e6;
      continue;
    }
    lines.push({ seconds, text: said });
    const call = INITCALL.exec(said);
    if (call) {
      const [, name, module, probed, told] = call;
      const microseconds = line[3] === undefined ? Number(told) : Number(line[3]) * 1e6;
      initcalls.push({ name: name ?? `probe of ${probed}`, module, end: seconds, microseconds });
    }
  }
  const { before, after } = clock;
  const toMonotonic =
    before === undefined || after === undefined || marked === undefined
      ? undefined
      : { microseconds: (before + after) / 2 - marked, error: (after - before) / 2 };
  return { lines, initcalls, toMonotonic };
}
