/** The directory that the emulated machine writes its results to. Its root may make anything of what is there. */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { fileProblem, readRegular } from '../../util/regular-files.js';

const MOST_BYTES = 64 << 20;

/**
 * @param exchange the directory
 * @returns what the machine wrote as `name`; undefined if it wrote nothing
 * @throws {Error} for what is no regular file, links among them, and for more than 64 MiB
 */
export function writtenInside(exchange: string, name: string): string | undefined {
  const path = join(exchange, name);
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
  try {
    return readRegular(path, MOST_BYTES);
  } catch (error) {
    throw new Error(`${name}, which the emulated machine wrote, ${fileProblem(error) ?? String(error)}`);
  }
}
