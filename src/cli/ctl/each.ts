/** The same work for several sandboxes: each is done, and the first failure decides the exit status. */
import { SandboxError } from '../../util/errors.js';
import { tellFailure } from '../program.js';
import { Printer, ReaderGone } from '../terminal/output.js';
import { PROGRAM } from './arguments.js';

export interface EachOptions {
  /** Pass over names of which no sandbox runs, or no longer, or no pool is there. */
  readonly ignoreMissing?: boolean;
}

/**
 * Does the work for all names at once, and prints what it returns in the order of the names. A failure is told on
 * stderr.
 * @returns the exit status
 */
export async function forEachName(
  names: readonly string[],
  work: (name: string) => Promise<string>,
  { ignoreMissing = false }: EachOptions = {},
): Promise<number> {
  const all = [...new Set(names)].map((name) => work(name));
  // They are looked at in their order.
  for (const each of all) each.catch(() => {});
  let status: number | undefined;
  let readerGone: ReaderGone | undefined;
  const printer = new Printer();
  for (const each of all) {
    try {
      const line = `${await each}\n`;
      if (readerGone !== undefined) continue;
      await printer.write(line);
      await printer.flush();
    } catch (error) {
      if (error instanceof ReaderGone) readerGone = error;
      if (error instanceof ReaderGone || (ignoreMissing && isMissing(error))) continue;
      const failed = tellFailure(PROGRAM, error);
      status ??= failed;
    }
  }
  // The work is done; only its report is not wanted.
  if (readerGone !== undefined) throw readerGone;
  return status ?? 0;
}

const MISSING: readonly string[] = ['sandbox-not-found', 'sandbox-ended', 'pool-not-found'];

function isMissing(error: unknown): boolean {
  return error instanceof SandboxError && MISSING.includes(error.code);
}
