/** A file, link or FIFO of the host that has not got its name yet: it has one that nobody can foresee. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  type BigIntStats,
  closeSync,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  lutimesSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { promisify } from 'node:util';
import { callError, MOVED } from './calls.js';
import type { Descent } from './descent.js';
import type { TreeMeta } from './format.js';
import { timeOf } from './times.js';

/** Without set-user-ID and set-group-ID: a guest does not choose what runs as the user who copied it. */
export const MODE_BITS_HERE = 0o1777;

const run = promisify(execFile);

/** Of a FIFO. */
const PERMISSION_BITS = 0o777;

/** What sets a mode, or a time, where the file system keeps it. */
export type SetAttribute = (what: 'mode' | 'time', set: () => void) => void;

export class Unfinished {
  /** For system calls. */
  readonly #path: Buffer;
  readonly #target: Buffer;
  #fd: number | undefined;
  #size = 0;

  /**
   * @param name the one that it gets in the last directory of `descent`, which stays open meanwhile
   * @param mustBeDirectory there can only be a directory
   * @throws EISDIR where a directory is, else ENOTDIR
   */
  constructor(descent: Descent, name: Buffer, mustBeDirectory: boolean) {
    this.#target = descent.path(name);
    this.#path = descent.path(unfinishedName());
    if (lstatSync(this.#target, { throwIfNoEntry: false })?.isDirectory() === true) throw callError('EISDIR');
    if (mustBeDirectory) throw callError('ENOTDIR');
  }

  makeFile(size: number): void {
    this.#fd = openSync(this.#path, 'wx', 0o600);
    this.#size = size;
  }

  write(offset: number, bytes: Buffer): void {
    const fd = this.#openFile();
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, offset + at);
  }

  makeLink(target: Buffer): void {
    symlinkSync(target, this.#path);
  }

  /** Another name of a file. It follows no link. */
  makeHardLink(of: Buffer): void {
    linkSync(of, this.#path);
  }

  /** Others have their turn meanwhile: a guest may send any number. */
  async makeFifo(mode: number): Promise<void> {
    // Node.js has no mkfifo(3).
    const permissions = (mode & PERMISSION_BITS).toString(8);
    try {
      await run('mkfifo', ['-m', permissions, '--', this.#path.toString()]);
    } catch (error) {
      throw Object.assign(new Error('mkfifo(1) failed, or there is none', { cause: error }), { code: 'EIO' });
    }
  }

  /** What it is. */
  get status(): BigIntStats {
    return lstatSync(this.#path, { bigint: true });
  }

  /**
   * Gives it its mode, its time and its name.
   * @returns what a file is by then
   * @throws the error of a system call: ESTALE if another file has taken its name
   */
  finish(meta: TreeMeta, setAttribute: SetAttribute): BigIntStats | undefined {
    const fd = this.#fd;
    let made: BigIntStats | undefined;
    if (fd !== undefined) {
      ftruncateSync(fd, this.#size);
      setAttribute('mode', () => fchmodSync(fd, meta.mode & MODE_BITS_HERE));
      made = fstatSync(fd, { bigint: true });
      this.#fd = undefined;
      closeSync(fd);
    }
    const time = timeOf(meta);
    setAttribute('time', () => lutimesSync(this.#path, time, time));
    const finished = made && this.status;
    if (finished?.dev !== made?.dev || finished?.ino !== made?.ino || finished?.uid !== made?.uid)
      throw callError(MOVED);
    renameSync(this.#path, this.#target);
    return finished;
  }

  /** Gives a hard link its name. */
  finishHardLink(): void {
    renameSync(this.#path, this.#target);
    // Two names of one file stay both.
    this.remove();
  }

  remove(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    rmSync(this.#path, { force: true });
  }

  #openFile(): number {
    if (this.#fd === undefined) throw new Error('no file is open');
    return this.#fd;
  }
}

export function unfinishedName(): Buffer {
  return Buffer.from(`.virt-sandbox-${randomBytes(8).toString('hex')}`);
}
