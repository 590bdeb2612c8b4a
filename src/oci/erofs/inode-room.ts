/** Gives out room for inodes, so that those that follow each other lie close together. */
import { BLOCK, FIRST_INODE, UNIT } from './format.js';

/**
 * How many of the last blocks are filled up. Who writes inodes in the order in which they got room keeps that many, and
 * all before are final.
 */
export const OPEN_BLOCKS = 64;

const UNITS = BLOCK / UNIT;

export class InodeRoom {
  /** Blocks that were begun; those before the first inode are full. */
  #blocks = FIRST_INODE / UNITS;
  /** Units that are free at the ends of the last blocks, by their numbers modulo {@link OPEN_BLOCKS}. */
  readonly #free = new Uint8Array(OPEN_BLOCKS);

  get blocks(): number {
    return this.#blocks;
  }

  /**
   * Room within one block, or from the beginning of one on if it has to be longer.
   * @param length bytes
   * @returns the number of its first unit, which is that of the inode
   */
  take(length: number): number {
    const units = Math.ceil(length / UNIT);
    if (units > UNITS) return this.#begin(units);
    let best = -1;
    let least = UNITS + 1;
    for (let at = 0; at < OPEN_BLOCKS && least > units; at += 1) {
      const free = this.#free[at] ?? 0;
      if (free >= units && free < least) [best, least] = [at, free];
    }
    if (best < 0) return this.#begin(units);
    this.#free[best] = least - units;
    // The last block with this number modulo OPEN_BLOCKS.
    const newest = this.#blocks - 1;
    const block = newest - ((newest - best) % OPEN_BLOCKS);
    return block * UNITS + UNITS - least;
  }

  #begin(units: number): number {
    const first = this.#blocks;
    const count = Math.ceil(units / UNITS);
    for (let at = first; at < first + count; at += 1) this.#free[at % OPEN_BLOCKS] = 0;
    this.#blocks = first + count;
    this.#free[(this.#blocks - 1) % OPEN_BLOCKS] = count * UNITS - units;
    return first * UNITS;
  }
}
