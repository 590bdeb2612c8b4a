/** Keeps the last lines of the guest's console for errors. */
import type { Readable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';

/** How much of the console's end is kept, in characters. */
const KEPT_CHARACTERS = 16_384;
/** How many lines an error shows. */
const TAIL_LINES = 20;
const LINES_BEFORE_PANIC = 5;
const LINES_AFTER_PANIC = 3;
const PANIC = 'Kernel panic - not syncing: ';

export class Console {
  #text = '';
  readonly #watch: ((chunk: Buffer) => void) | undefined;

  /** @param watch receives every byte as it comes */
  constructor(watch?: (chunk: Buffer) => void) {
    this.#watch = watch;
  }

  attach(socket: Readable): void {
    // The channel breaks too, and reports it.
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      this.#watch?.(chunk);
      this.#text = (this.#text + chunk.toString('latin1')).slice(-KEPT_CHARACTERS);
    });
  }

  /** The last lines, without control sequences. Of a panic, its beginning: registers and addresses say little. */
  tail(): string[] {
    const lines = this.#lines();
    const panic = lines.findIndex((line) => line.includes(PANIC));
    return panic < 0
      ? lines.slice(-TAIL_LINES)
      : lines.slice(Math.max(0, panic - LINES_BEFORE_PANIC), panic + LINES_AFTER_PANIC);
  }

  #lines(): string[] {
    return stripVTControlCharacters(this.#text)
      .split(/\r?\n|\r/)
      .map((line) => line.replace(/[^\t\u0020-\u007e]/g, ''))
      .filter((line) => line.trim() !== '');
  }

  /** The kernel's reason for a panic; undefined: none happened. */
  get panic(): string | undefined {
    return this.#lines()
      .find((line) => line.includes(PANIC))
      ?.split(PANIC)[1]
      ?.trim();
  }
}
