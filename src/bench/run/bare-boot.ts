/** The baseline of a boot: a bare QEMU whose guest powers off at once. Its command line: baseline.ts */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type BareOptions, whileBare } from './bare-process.js';
import { withRoot } from './bare-root.js';

/**
 * Boots a machine, until it is off.
 * @param argv QEMU's command line, with an init that powers off
 * @param scratch a directory to make another one in
 * @returns the seconds from QEMU's start until it is gone
 * @throws {Interrupted} when the signal came first; QEMU is then gone
 * @throws {Error} with QEMU's status and the last line of its stderr, when it fails, or is not done in time
 */
export async function bareBoot(argv: readonly string[], scratch: string, options: BareOptions = {}): Promise<number> {
  // What removes such a directory also tidies up beside it.
  const parent = join(scratch, 'bare');
  mkdirSync(parent, { recursive: true });
  const directory = mkdtempSync(join(parent, 'boot-'));
  try {
    const off = async (ended: Parameters<Parameters<typeof whileBare>[2]>[0]) => {
      const { status, how } = await ended;
      if (status !== 0) throw new Error(how);
    };
    return (await whileBare(withRoot(argv, directory), directory, off, options)).seconds;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
