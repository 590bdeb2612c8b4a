/**
 * Fills the memory of a restored machine that shares it with virtiofsd. Such a machine cannot map the snapshot's
 * memory, which others map too: the launcher copies it into QEMU's memory.
 */
import { closeSync, openSync, readdirSync, readlinkSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { SHARED_MEMORY_LINK } from '../../domain/snapshot.js';
import { endOfData, nextData } from '../../image/snapshot/extents.js';
import { SNAPSHOT_MEMORY, type Snapshot } from '../../image/snapshot/record.js';
import { isQemuOf } from '../../libvirt/qemu-process.js';
import { isSystemError, messageOf } from '../../util/errors.js';

const PIECE_BYTES = 1 << 20;
/** How much is written before other work gets its turn: some 20 ms. */
const TURN_BYTES = 32 << 20;

/**
 * Copies the data of the saved memory. The rest is zeros, as in new memory.
 * @param pid of a QEMU that waits for its state
 * @param name of its domain
 * @throws {Error} if its memory cannot be opened
 */
export async function fillMemory(pid: number, name: string, snapshot: Snapshot): Promise<void> {
  const saved = openSync(join(snapshot.directory, SNAPSHOT_MEMORY), 'r');
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
    // Check after opening: the PID may have been reused before, but what is open now stays that process's.
    if (isQemuOf(pid, domain)) return memory;
    closeSync(memory);
    throw new Error(`process ${pid} is none of that machine's`);
  } catch (error) {
    throw new Error(`QEMU's memory cannot be written: ${messageOf(error)}`, { cause: error });
  }
}

/** Empty if the descriptor was closed meanwhile. */
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
