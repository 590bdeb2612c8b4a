/**
 * The memory of a machine that goes on from a saved one and shares it, as virtiofsd wants it: not the saved machine's, which others map too, but a
 * copy that the launcher writes where QEMU has it.
 */
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { SHARED_MEMORY_LINK } from '../../domain/snapshot.js';
import { endOfData, nextData } from '../../image/snapshot/extents.js';
import { SNAPSHOT_MEMORY, type Snapshot } from '../../image/snapshot/snapshot.js';
import { isSystemError, messageOf, valueOr } from '../../util/errors.js';

const PIECE_BYTES = 1 << 20;
/** So much is written at a time before anything else has its turn: some 20 ms. */
const TURN_BYTES = 32 << 20;

/**
 * Writes what is in the saved memory; the rest of it is zeros, as a new memory is.
 * @param pid of a QEMU that waits for its state
 * @param name of its domain
 * @throws {Error} where its memory cannot be had
 */
export async function fillMemory(pid: number, name: string, warm: Snapshot): Promise<void> {
  const saved = openSync(join(warm.directory, SNAPSHOT_MEMORY), 'r');
  try {
    const memory = openSharedMemory(pid, name);
    try {
      await copyData(saved, memory);
    } finally {
      closeSync(memory);
    }
  } finally {
    closeSync(saved);
  }
}

function openSharedMemory(pid: number, domain: string): number {
  const directory = `/proc/${pid}/fd`;
  try {
    const [path, ...others] = readdirSync(directory)
      .map((name) => join(directory, name))
      .filter((each) => linkOf(each) === SHARED_MEMORY_LINK);
    if (path === undefined || others.length > 0) throw new Error('it has none that is shared, or several');
    const memory = openSync(path, 'r+');
    // Behind that: what is open is this process's, and no other's that has its number by now.
    const isOurs = valueOr(() => isQemuOf(pid, domain), false);
    if (isOurs) return memory;
    closeSync(memory);
    throw new Error(`process ${pid} is none of that machine's`);
  } catch (error) {
    throw new Error(`QEMU's memory cannot be written: ${messageOf(error)}`, { cause: error });
  }
}

function isQemuOf(pid: number, domain: string): boolean {
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  return words.some((word) => word === `guest=${domain}` || word.startsWith(`guest=${domain},`));
}

/** Empty for one that was closed meanwhile. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return '';
    throw error;
  }
}

async function copyData(from: number, to: number): Promise<void> {
  const piece = Buffer.allocUnsafe(PIECE_BYTES);
  let position: number | undefined = 0;
  for (let written = 0; ; ) {
    position = nextData(from, position);
    if (position === undefined) return;
    const end = endOfData(from, position, position + PIECE_BYTES);
    const count = readSync(from, piece, 0, end - position, position);
    if (count === 0) return;
    for (let done = 0; done < count; ) done += writeSync(to, piece, done, count - done, position + done);
    position += count;
    written += count;
    if (written < TURN_BYTES) continue;
    written = 0;
    await nextTurn();
  }
}
