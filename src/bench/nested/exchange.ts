/** The directory that the emulated machine writes its results to. Its root may make anything of what is there. */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { readRegular } from '../../util/regular-files.js';

const MOST_BYTES = 64 << 20;

/**
 * @param exchange the directory
 * @returns what the machine wrote as `name`; undefined if it wrote nothing
 * @throws {UnreadableFile} for what is no regular file, links among them, and for more than 64 MiB
 */
export function writtenInside(exchange: string, name: string): string | undefined {
  const path = join(exchange, name);
  return lstatSync(path, { throwIfNoEntry: false }) === undefined ? undefined : readRegular(path, MOST_BYTES);
}
