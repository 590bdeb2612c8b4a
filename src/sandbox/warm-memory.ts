/**
 * The memory of a machine that goes on from a saved one and shares it, as virtiofsd wants it: not the saved machine's, which others map too, but a
 * copy that the launcher writes where QEMU has it.
 */
import { closeSync, openSync, readdirSync, readlinkSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { SHARED_MEMORY_LINK } from '../domain/warm.js';
import { isSystemError, messageOf } from '../errors.js';
import { endOfData, nextData } from '../image/extents.js';
import { WARM_MEMORY, type WarmImage } from '../image/warm.js';

const PIECE_BYTES = 1 << 20;

/**
 * Writes what is in the saved memory; the rest of it is zeros, as a new memory is.
 * @param pid of a QEMU that waits for its state
 * @throws {Error} where this process may not look into that one: proc_pid_fd(5)
 */
export function fillMemory(pid: number, warm: WarmImage): void {
  const saved = openSync(join(warm.directory, WARM_MEMORY), 'r');
  try {
    const memory = openSharedMemory(pid);
    try {
      copyData(saved, memory);
    } finally {
      closeSync(memory);
    }
  } finally {
    closeSync(saved);
  }
}

function openSharedMemory(pid: number): number {
  const directory = `/proc/${pid}/fd`;
  try {
    const [path, ...others] = readdirSync(directory)
      .map((name) => join(directory, name))
      .filter((each) => linkOf(each) === SHARED_MEMORY_LINK);
    if (path === undefined || others.length > 0) throw new Error('it has none that is shared, or several');
    return openSync(path, 'r+');
  } catch (error) {
    throw new Error(`QEMU's memory cannot be written, which takes CAP_SYS_PTRACE: ${messageOf(error)}`, {
      cause: error,
    });
  }
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

function copyData(from: number, to: number): void {
  const piece = Buffer.allocUnsafe(PIECE_BYTES);
  let position: number | undefined = 0;
  for (;;) {
    position = nextData(from, position);
    if (position === undefined) return;
    const end = endOfData(from, position, position + PIECE_BYTES);
    const count = readSync(from, piece, 0, end - position, position);
    if (count === 0) return;
    for (let done = 0; done < count; ) done += writeSync(to, piece, done, count - done, position + done);
    position += count;
  }
}
