/** Lines at the end of a terminal that are drawn again and again, and are gone at last. */

/** To the start of the line, and erases it. */
const ERASE = '\r\u001b[K';
/** One line up. */
const UP = '\u001b[A';

/** Those that are on the terminal now: it belongs to this process, which may be about to end without them. */
const shown = new Set<StatusLines>();

/** Removes all lines that are drawn, before this process kills itself. */
export function eraseStatusLines(): void {
  for (const lines of shown) lines.erase();
}

export class StatusLines {
  #drawn = 0;

  constructor(private readonly stream: Pick<NodeJS.WriteStream, 'write'>) {}

  get isDrawn(): boolean {
    return this.#drawn > 0;
  }

  /** Replaces the lines. Each must fit in the width of the terminal. */
  draw(lines: readonly string[]): void {
    this.stream.write(`${this.#erasing()}${lines.join('\n')}`);
    this.#drawn = lines.length;
    shown.add(this);
  }

  erase(): void {
    if (this.#drawn === 0) return;
    this.stream.write(this.#erasing());
    this.#drawn = 0;
    shown.delete(this);
  }

  #erasing(): string {
    return `${ERASE}${`${UP}${ERASE}`.repeat(Math.max(0, this.#drawn - 1))}`;
  }
}
