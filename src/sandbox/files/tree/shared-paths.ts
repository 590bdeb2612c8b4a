/** Which files of a tree may have further names in it. Both ends count in the same way, so that neither needs more room. */
import { MAX_SHARED_BYTES, MAX_SHARED_FILES, MAX_SHARED_PATH_BYTES } from './format.js';

export class SharedPaths {
  /** Of each directory below the root: the bytes of its path, with a slash. */
  readonly #sizes: number[] = [];
  #files = 0;
  #bytes = 0;

  /** Files that were added. */
  get count(): number {
    return this.#files;
  }

  /** A directory below the root. */
  enter(name: Buffer): void {
    this.#sizes.push((this.#sizes.at(-1) ?? 0) + name.length + 1);
  }

  /** The directory that was entered last, or the root. */
  leave(): void {
    this.#sizes.pop();
  }

  /** Gives a file in the last directory the next number. @returns false if there may be no such file */
  add(name: Buffer): boolean {
    const size = (this.#sizes.at(-1) ?? 0) + name.length;
    const hasRoom = this.#files < MAX_SHARED_FILES && size <= MAX_SHARED_BYTES - this.#bytes;
    if (!hasRoom || size > MAX_SHARED_PATH_BYTES) return false;
    this.#files += 1;
    this.#bytes += size;
    return true;
  }
}
