/**
 * Makes a tree on the host of what a guest sends. The guest is hostile: each name is one component, directories are
 * found by descriptors, no link is followed, and a file has its name only when it is whole.
 */
import { type BigIntStats, fchmodSync, futimesSync } from 'node:fs';
import { isRefused } from './calls.js';
import { Descent } from './descent.js';
import { SkippedRootError } from './errors.js';
import type { TreeMeta, TreeSink } from './format.js';
import { MadeFiles } from './made-files.js';
import { makeDirectory } from './make-directory.js';
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
  /** Names of the directories below the root of the tree, Latin-1. */
  readonly #names: string[] = [];
  readonly #files = new MadeFiles();
  /** Of the file whose extents come. */
  #file: { readonly meta: TreeMeta; readonly isShared: boolean } | undefined;
  readonly #spend: (bytes: number) => void;
  #unfinished: Unfinished | undefined;
  /** What the last record was about. */
  #name: Buffer = Buffer.alloc(0);

  /**
   * @param spend is called before so many bytes are written that nobody has sent
   * @throws the error of a system call
   */
  constructor(place: Place, tally: Tally, spend: (bytes: number) => void) {
    this.#place = place;
    this.#tally = tally;
    this.#spend = spend;
    this.#descent = new Descent(place.directory);
  }

  /** What it is at: a path of the host. */
  get where(): string {
    return this.#descent.describe(this.#name);
  }

  /** A directory that is there already keeps its mode, so that no guest opens it to others. */
  directory(given: Buffer, meta: TreeMeta): void {
    const name = this.#nameOf(given);
    const isMade = makeDirectory(this.#descent, name);
    if (this.#made.length > 0) this.#names.push(name.toString('latin1'));
    this.#made.push(isMade ? meta : undefined);
    this.#tally.directories += 1;
    this.#name = Buffer.alloc(0);
  }

  leave(): void {
    this.#name = Buffer.alloc(0);
    const meta = this.#made.pop();
    this.#names.pop();
    // The new mode may not let this process do it later.
    this.#descent.openAbove();
    if (meta !== undefined) {
      const time = timeOf(meta);
      this.#setAttribute('time', () => futimesSync(this.#descent.fd, time, time));
      this.#setAttribute('mode', () => fchmodSync(this.#descent.fd, meta.mode & MODE_BITS_HERE));
    }
    this.#descent.leave();
  }

  file(given: Buffer, meta: TreeMeta, size: number, isShared: boolean): void {
    this.#begin(given).makeFile(size);
    this.#file = { meta, isShared };
    this.#tally.files += 1;
  }

  async hardLink(given: Buffer, number: number): Promise<void> {
    const unfinished = this.#begin(given);
    const meta = await this.#files.link(number, this.#descent, unfinished, this.#spend);
    if (meta !== undefined) this.#finish(meta);
    else unfinished.finishHardLink();
    this.#unfinished = undefined;
    this.#tally.files += 1;
  }

  extent(offset: number, bytes: Buffer): void {
    this.#unfinished?.write(offset, bytes);
    this.#tally.bytes += bytes.length;
  }

  fileEnd(hasShrunk: boolean): void {
    if (hasShrunk) this.#tally.shrank(() => this.where);
    const file = this.#file;
    this.#file = undefined;
    const finished = file && this.#finish(file.meta);
    if (file?.isShared && finished !== undefined)
      this.#files.add([...this.#names, this.#name.toString('latin1')], finished);
  }

  link(given: Buffer, meta: TreeMeta, target: Buffer): void {
    this.#begin(given).makeLink(target);
    this.#finish(meta);
    this.#tally.links += 1;
  }

  async fifo(given: Buffer, meta: TreeMeta): Promise<void> {
    await this.#begin(given).makeFifo(meta.mode);
    this.#finish(meta);
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

  #begin(given: Buffer): Unfinished {
    const mustBeDirectory = given.length === 0 && this.#place.isDirectory;
    this.#unfinished = new Unfinished(this.#descent, this.#nameOf(given), mustBeDirectory);
    return this.#unfinished;
  }

  #finish(meta: TreeMeta): BigIntStats | undefined {
    const finished = this.#unfinished?.finish(meta, (what, set) => this.#setAttribute(what, set));
    this.#unfinished = undefined;
    return finished;
  }

  /** Without it the copy goes on, and says so. */
  #setAttribute(what: 'mode' | 'time', set: () => void): void {
    try {
      set();
    } catch (error) {
      if (!isRefused(error)) throw error;
      this.#tally.lost(() => this.where, what);
    }
  }
}
