/** A file, link or FIFO of the host that has not got its name yet: it has one that nobody can foresee. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fchmodSync,
  ftruncateSync,
  lstatSync,
  lutimesSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { constants } from 'node:os';
import { promisify } from 'node:util';
import type { Descent } from './descent.js';
import type { TreeMeta } from './format.js';
import { timeOf } from './times.js';

/** Without set-user-ID and set-group-ID: a guest does not choose what runs as the user who copied it. */
export const MODE_BITS_HERE = 0o1777;

const run = promisify(execFile);

/** Of a FIFO. */
const PERMISSION_BITS = 0o777;

export class Unfinished {
  readonly #meta: TreeMeta;
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
  constructor(descent: Descent, name: Buffer, meta: TreeMeta, mustBeDirectory: boolean) {
    this.#meta = meta;
    this.#target = descent.path(name);
    this.#path = descent.path(Buffer.from(`.virt-sandbox-${randomBytes(8).toString('hex')}`));
    if (lstatSync(this.#target, { throwIfNoEntry: false })?.isDirectory() === true) throw errnoError('EISDIR');
    if (mustBeDirectory) throw errnoError('ENOTDIR');
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

  /** Others have their turn meanwhile: a guest may send any number. */
  async makeFifo(): Promise<void> {
    // Node.js has no mkfifo(3).
    const mode = (this.#meta.mode & PERMISSION_BITS).toString(8);
    try {
      await run('mkfifo', ['-m', mode, '--', this.#path.toString()]);
    } catch (error) {
      throw Object.assign(new Error('mkfifo(1) failed, or there is none', { cause: error }), { code: 'EIO' });
    }
  }

  /** Gives it its mode, its time and its name. */
  finish(): void {
    if (this.#fd !== undefined) {
      const fd = this.#openFile();
      ftruncateSync(fd, this.#size);
      fchmodSync(fd, this.#meta.mode & MODE_BITS_HERE);
      this.#fd = undefined;
      closeSync(fd);
    }
    const time = timeOf(this.#meta);
    lutimesSync(this.#path, time, time);
    renameSync(this.#path, this.#target);
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

function errnoError(code: 'EISDIR' | 'ENOTDIR'): Error {
  return Object.assign(new Error(code), { code, errno: -constants.errno[code] });
}
