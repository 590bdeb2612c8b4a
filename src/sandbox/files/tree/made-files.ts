/**
 * The files with several names that a download has made, and further names of them. A guest chooses which one gets
 * another name, but only by its number: it is looked for below the root of the tree, by descriptors, and has to be the
 * file that was made.
 */
import { type BigIntStats, closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { callError, hasNoHardLinks, MOVED } from './calls.js';
import { type Descent, pathIn } from './descent.js';
import type { TreeMeta } from './format.js';
import { metaOf } from './meta.js';
import type { Unfinished } from './unfinished.js';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

/** How much is copied at a time where there are no further names. */
const PIECE_BYTES = 1 << 20;
const ZEROS = Buffer.alloc(PIECE_BYTES);
/** What stays the same of a file. */
const FIELDS = ['dev', 'ino', 'uid', 'size', 'mtimeNs'] as const;

interface MadeFile {
  /** From the root of the tree, Latin-1. */
  readonly path: string;
  /** A device and an inode alone may be those of another file, once this one is removed. */
  readonly status: BigIntStats;
}

export class MadeFiles {
  readonly #files: MadeFile[] = [];

  /**
   * Gives a file the next number.
   * @param names the way to it from the root of the tree, with its own, Latin-1
   * @param status what it was when it was finished
   */
  add(names: readonly string[], status: BigIntStats): void {
    this.#files.push({ path: names.join('/'), status });
  }

  /**
   * Makes another name of a file, or a copy where the file system has no such names.
   * @param to what gets that name
   * @param spend is called before so many bytes are copied
   * @returns the mode and time of a copy, which has neither yet
   * @throws the error of a system call: ESTALE if it is not the file that was made
   */
  async link(
    number: number,
    descent: Descent,
    to: Unfinished,
    spend: (bytes: number) => void,
  ): Promise<TreeMeta | undefined> {
    const file = this.#files[number];
    if (file === undefined) throw new Error(`no file has the number ${number}`);
    const names = file.path.split('/').map((name) => Buffer.from(name, 'latin1'));
    const name = names.pop() ?? Buffer.alloc(0);
    const directory = descent.openBelowFirst(names);
    try {
      const path = pathIn(directory, name);
      check(file, lstatSync(path, { bigint: true }));
      try {
        to.makeHardLink(path);
        // Another file may have taken its name meanwhile.
        check(file, to.status);
        return undefined;
      } catch (error) {
        if (!hasNoHardLinks(error)) throw error;
      }
      return await copy(file, path, to, spend);
    } finally {
      closeSync(directory);
    }
  }
}

function check({ status }: MadeFile, found: BigIntStats): void {
  const isSame = FIELDS.every((field) => found[field] === status[field]);
  if (!found.isFile() || !isSame) throw callError(MOVED);
}

async function copy(file: MadeFile, path: Buffer, to: Unfinished, spend: (bytes: number) => void): Promise<TreeMeta> {
  const fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const found = fstatSync(fd, { bigint: true });
    check(file, found);
    to.makeFile(Number(found.size));
    const piece = Buffer.alloc(PIECE_BYTES);
    for (let at = 0; ; ) {
      const count = readSync(fd, piece, 0, PIECE_BYTES, at);
      if (count === 0) return metaOf(found);
      spend(count);
      // What is all zeros becomes a hole.
      const bytes = piece.subarray(0, count);
      if (!bytes.equals(ZEROS.subarray(0, count))) to.write(at, bytes);
      at += count;
      // Writing blocks this thread: others have their turn.
      await setImmediate();
    }
  } finally {
    closeSync(fd);
  }
}
