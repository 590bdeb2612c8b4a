/** Takes an input apart: small decisions first, the rest as data. */

/** Reads decisions from the beginning of an input. Behind its end all of them are 0. */
export class Input {
  #at = 0;

  constructor(private readonly data: Buffer) {}

  get left(): number {
    return this.data.length - this.#at;
  }

  /** An integer from 0 up to but not including `below`, which is at most 256. */
  choice(below: number): number {
    return this.byte() % below;
  }

  byte(): number {
    const value = this.data[this.#at] ?? 0;
    this.#at = Math.min(this.#at + 1, this.data.length);
    return value;
  }

  /** The next bytes; fewer at the end. */
  take(count: number): Buffer {
    const piece = this.data.subarray(this.#at, this.#at + count);
    this.#at += piece.length;
    return piece;
  }

  rest(): Buffer {
    return this.take(this.left);
  }
}

/** The parts of an input between bytes `separator`, at most `count`. */
export function partsOf(data: Buffer, separator: number, count: number): Buffer[] {
  const parts: Buffer[] = [];
  let at = 0;
  while (parts.length < count - 1) {
    const end = data.indexOf(separator, at);
    if (end < 0) break;
    parts.push(data.subarray(at, end));
    at = end + 1;
  }
  return [...parts, data.subarray(at)];
}
