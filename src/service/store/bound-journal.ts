/** The journal of a bound is written at each start, so it has its blocks in the file, also when the host's disk gets full. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { quote } from '../../config/errors.js';
import { findTool, runTool } from '../../sandbox/devices/overlay-tools.js';
import { writeAll } from '../../util/write-all.js';

/** At most so many are written at a time. */
const AT_ONCE = 256;

/**
 * Writes the journal as it is, since a hole takes no block. mke2fs(8) has fallocate(2) zero it, which leaves holes where a
 * file system has no way to do that otherwise, such as tmpfs.
 * @param blockSize of the file system, in bytes
 * @throws what debugfs(8) and the file system of the file fail with
 */
export async function reserveJournal(file: string, blockSize: number): Promise<void> {
  const debugfs = findTool('debugfs', 'e2fsprogs', 'making the bound of a state');
  // Inode 8 is the journal. debugfs ends with 0 whatever happens.
  const said = await runTool(debugfs, ['-R', 'blocks <8>', file]);
  const blocks = said.split(/\s+/).filter(Boolean).map(Number);
  if (blocks.length === 0 || !blocks.every(Number.isSafeInteger))
    throw new Error(`debugfs names no blocks of the journal in ${quote(file)}`);
  const held = await open(file, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    for (const [first, count] of runsOf(blocks)) await rewrite(held, first * blockSize, count * blockSize);
  } finally {
    await held.close();
  }
}

/** Blocks that follow one another, as the first one and their number. */
function runsOf(blocks: readonly number[]): [first: number, count: number][] {
  const runs: [number, number][] = [];
  for (const block of blocks) {
    const last = runs.at(-1);
    if (last !== undefined && last[0] + last[1] === block && last[1] < AT_ONCE) last[1]++;
    else runs.push([block, 1]);
  }
  return runs;
}

async function rewrite(held: FileHandle, position: number, length: number): Promise<void> {
  const bytes = Buffer.alloc(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await held.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) throw new Error(`the file ends at ${position + done} bytes`);
    done += bytesRead;
  }
  await writeAll(held, bytes, position);
}
