/**
 * Fills the memory of a restored machine that shares it with virtiofsd. Such a machine cannot map the snapshot's
 * memory, which others map too: the launcher copies it into QEMU's memory.
 */
import { closeSync, openSync, readdirSync, readlinkSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { SHARED_MEMORY_LINK } from '../../domain/snapshot.js';
import { endOfData, nextData } from '../../image/snapshot/extents.js';
import { SNAPSHOT_MEMORY, type Snapshot } from '../../image/snapshot/record.js';
import { isQemuOf } from '../../libvirt/qemu-process.js';
import { isSystemError, messageOf } from '../../util/errors.js';

const PIECE_BYTES = 1 << 20;
/** How much is written before other work gets its turn: some 20 ms. */
const TURN_BYTES = 32 << 20;

/** How often it is looked whether a QEMU has its memory, in milliseconds. */
const LOOK_MS = 1;

/** A QEMU that waits for its state, or is about to. */
export interface WaitingQemu {
  readonly pid: number;
  /** Of its domain. */
  readonly name: string;
  /** Resolves when it has made its machine, and so its memory. */
  readonly answered: Promise<void>;
}

/**
 * Copies the data of the saved memory, while QEMU makes the rest of the machine. The rest stays zero. Copying before
 * QEMU's reset is safe: with -incoming QEMU writes no ROM to memory.
 * @throws {Error} if its memory cannot be opened
 */
export async function fillMemory(qemu: WaitingQemu, snapshot: Snapshot): Promise<void> {
  const saved = openSync(join(snapshot.directory, SNAPSHOT_MEMORY), 'r');
  try {
    const memory = await sharedMemory(qemu);
    try {
      await copyData(saved, memory);
    } finally {
      closeSync(memory);
    }
  } finally {
    closeSync(saved);
  }
}

async function sharedMemory({ pid, name, answered }: WaitingQemu): Promise<number> {
  let isMade = false;
  const made = answered.then(() => {
    isMade = true;
  });
  // A QEMU that dies rejects it, also where this is not waited for: the caller waits for the same promise.
  made.catch(() => {});
  for (;;) {
    // Asked before it is looked for: a QEMU that had answered by then has its memory.
    const isLast = isMade;
    const memory = openSharedMemory(pid, name);
    if (memory !== undefined) return memory;
    if (isLast) throw new Error("QEMU's memory cannot be written: it has none that is shared");
    await Promise.race([made, sleep(LOOK_MS)]);
  }
}

/** @returns undefined if there is none yet */
function openSharedMemory(pid: number, domain: string): number | undefined {
  const directory = `/proc/${pid}/fd`;
  try {
    const [path, ...others] = readdirSync(directory)
      .map((name) => join(directory, name))
      .filter((each) => linkOf(each) === SHARED_MEMORY_LINK);
    if (path === undefined) return undefined;
    if (others.length > 0) throw new Error('it has several that are shared');
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
