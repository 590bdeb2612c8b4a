/**
 * Makes a tree on the host of what a guest sends. The guest is hostile: each name is one component, directories are
 * found by descriptors, no link is followed, and a file has its name only when it is whole.
 */
import { fchmodSync, futimesSync, mkdirSync } from 'node:fs';
import { isSystemError } from '../../../util/errors.js';
import { Descent } from './descent.js';
import { SkippedRootError } from './errors.js';
import type { TreeMeta, TreeSink } from './format.js';
import type { Place } from './place.js';
import { reasonText, type Tally } from './tally.js';
import { timeOf } from './times.js';
import { MODE_BITS_HERE, Unfinished } from './unfinished.js';

export class TreeWriter implements TreeSink {
  readonly #place: Place;
  readonly #tally: Tally;
  readonly #descent: Descent;
  /** Of the directories that were entered; undefined: it was there before. */
  readonly #made: (TreeMeta | undefined)[] = [];
  #unfinished: Unfinished | undefined;
  /** What the last record was about. */
  #name: Buffer = Buffer.alloc(0);

  /** @throws the error of a system call */
  constructor(place: Place, tally: Tally) {
    this.#place = place;
    this.#tally = tally;
    this.#descent = new Descent(place.directory);
  }

  /** What it is at: a path of the host. */
  get where(): string {
    return this.#descent.describe(this.#name);
  }

  /** A directory that is there already keeps its mode, so that no guest opens it to others. */
  directory(given: Buffer, meta: TreeMeta): void {
    const name = this.#nameOf(given);
    const isMade = makeDirectory(this.#descent.path(name));
    this.#descent.enter(name);
    this.#made.push(isMade ? meta : undefined);
    this.#tally.directories += 1;
    this.#name = Buffer.alloc(0);
  }

  leave(): void {
    this.#name = Buffer.alloc(0);
    const meta = this.#made.pop();
    // The new mode may not let this process do it later.
    this.#descent.openAbove();
    if (meta !== undefined) {
      const time = timeOf(meta);
      futimesSync(this.#descent.fd, time, time);
      fchmodSync(this.#descent.fd, meta.mode & MODE_BITS_HERE);
    }
    this.#descent.leave();
  }

  file(given: Buffer, meta: TreeMeta, size: number): void {
    const unfinished = this.#begin(given, meta);
    unfinished.makeFile(size);
    this.#tally.files += 1;
  }

  extent(offset: number, bytes: Buffer): void {
    this.#unfinished?.write(offset, bytes);
    this.#tally.bytes += bytes.length;
  }

  fileEnd(hasShrunk: boolean): void {
    if (hasShrunk) this.#tally.shrank(() => this.where);
    this.#finish();
  }

  link(given: Buffer, meta: TreeMeta, target: Buffer): void {
    this.#begin(given, meta).makeLink(target);
    this.#finish();
    this.#tally.links += 1;
  }

  async fifo(given: Buffer, meta: TreeMeta): Promise<void> {
    await this.#begin(given, meta).makeFifo();
    this.#finish();
  }

  /** @throws {SkippedRootError} if it is all that there is */
  skipped(given: Buffer, reason: number): void {
    this.#nameOf(given);
    if (given.length === 0) throw new SkippedRootError(reasonText(reason));
    this.#tally.skip(() => this.where, reason);
  }

  /** Ends it. What is not finished is removed. */
  close(): void {
    try {
      this.#unfinished?.remove();
    } finally {
      this.#unfinished = undefined;
      this.#descent.close();
    }
  }

  /** The root has the name of the place. */
  #nameOf(given: Buffer): Buffer {
    // The decoder's bytes are its own.
    this.#name = given.length === 0 ? this.#place.name : Buffer.from(given);
    return this.#name;
  }

  #begin(given: Buffer, meta: TreeMeta): Unfinished {
    const mustBeDirectory = given.length === 0 && this.#place.isDirectory;
    this.#unfinished = new Unfinished(this.#descent, this.#nameOf(given), meta, mustBeDirectory);
    return this.#unfinished;
  }

  #finish(): void {
    this.#unfinished?.finish();
    this.#unfinished = undefined;
  }
}

/** @returns whether it was not there */
function makeDirectory(path: Buffer): boolean {
  try {
    mkdirSync(path, 0o700);
    return true;
  } catch (error) {
    if (isSystemError(error, 'EEXIST')) return false;
    throw error;
  }
}
