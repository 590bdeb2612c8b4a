/** Counts what is copied. */
import { SkipReason } from './format.js';
import type { CopyProgress, CopyResult, Skipped } from './types.js';

/** A guest may send any number. */
const MOST_SKIPPED = 1000;

const REASONS: Readonly<Record<number, string>> = {
  [SkipReason.SOCKET]: 'it is a socket',
  [SkipReason.DEVICE]: 'it is a device',
  [SkipReason.VANISHED]: 'it was removed or replaced while the tree was read',
};

export class Tally {
  files = 0;
  directories = 0;
  links = 0;
  bytes = 0;
  readonly #skipped: Skipped[] = [];

  get progress(): CopyProgress {
    return { files: this.files, bytes: this.bytes };
  }

  get result(): CopyResult {
    const { files, directories, links, bytes } = this;
    return { files, directories, links, bytes, skipped: [...this.#skipped] };
  }

  /**
   * @param path is called only if the entry is kept: a guest may send any number, each deep in a tree
   * @param reason one of {@link SkipReason}
   */
  skip(path: () => string, reason: number): void {
    this.#note(path, reasonText(reason));
  }

  /** @param path as of {@link skip} */
  shrank(path: () => string): void {
    this.#note(path, 'less could be read than its size, and its copy has zeros at its end');
  }

  /** @param path as of {@link skip} */
  lost(path: () => string, what: 'mode' | 'time'): void {
    this.#note(path, `the file system there does not keep its ${what}`);
  }

  #note(path: () => string, reason: string): void {
    if (this.#skipped.length < MOST_SKIPPED) this.#skipped.push({ path: path(), reason });
  }
}

export function reasonText(reason: number): string {
  return REASONS[reason] ?? 'it cannot be copied';
}
