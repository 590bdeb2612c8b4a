/** Arrays of numbers that grow: a million entries of an image are columns of numbers here, and no objects. */

const FIRST_ROWS = 1024;

export type Column = Uint8Array | Uint16Array | Uint32Array | Float64Array;

/** Columns with a common number of rows. Row 0 is never given out, so 0 means none. */
export class Columns<T extends Readonly<Record<string, Column>>> {
  #rows = 1;
  #capacity: number;

  constructor(readonly columns: { -readonly [K in keyof T]: T[K] }) {
    this.#capacity = Math.min(...Object.values(columns).map(({ length }) => length));
  }

  get rows(): number {
    return this.#rows;
  }

  /** A new row of zeros. The arrays may be others from then on. */
  add(): number {
    if (this.#rows >= this.#capacity) this.#grow();
    this.#rows += 1;
    return this.#rows - 1;
  }

  #grow(): void {
    this.#capacity = Math.max(FIRST_ROWS, 2 * this.#capacity);
    for (const key of Object.keys(this.columns) as (keyof T)[]) {
      const old = this.columns[key];
      const larger = new (old.constructor as new (length: number) => T[typeof key])(this.#capacity);
      larger.set(old);
      this.columns[key] = larger;
    }
  }
}

/** Texts of latin1, one after the other. */
export class Texts {
  #bytes = Buffer.alloc(1 << 16);
  #length = 0;

  /** Bytes of all texts. */
  get length(): number {
    return this.#length;
  }

  /** @returns where the text begins */
  add(text: string): number {
    const start = this.#length;
    if (start + text.length > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(2 * this.#bytes.length, start + text.length));
      this.#bytes.copy(larger);
      this.#bytes = larger;
    }
    this.#bytes.write(text, start, 'latin1');
    this.#length += text.length;
    return start;
  }

  get(start: number, length: number): string {
    return this.#bytes.toString('latin1', start, start + length);
  }

  /** By bytes: less than 0 if the first comes first. */
  compare(start: number, length: number, otherStart: number, otherLength: number): number {
    const bytes = this.#bytes;
    // Names are short: a call of Buffer.compare takes longer than this.
    for (let at = 0, end = Math.min(length, otherLength); at < end; at += 1) {
      const difference = (bytes[start + at] ?? 0) - (bytes[otherStart + at] ?? 0);
      if (difference !== 0) return difference;
    }
    return length - otherLength;
  }

  equals(start: number, length: number, text: string): boolean {
    if (length !== text.length) return false;
    for (let at = 0; at < length; at += 1) if (this.#bytes[start + at] !== text.charCodeAt(at)) return false;
    return true;
  }
}
