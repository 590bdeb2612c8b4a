/** What comes out of an unpacker, in one buffer: large parts are not held twice. */

const FIRST_CAPACITY = 64 << 10;
/**
 * Up to here the buffer doubles. A larger one takes the limit at once: most hosts give memory only for what is written.
 */
const MOST_COPIED = 64 << 20;

/** Collects what is unpacked, up to a limit. */
export class Output {
  #data = Buffer.alloc(0);
  #size = 0;

  /** @param limit Most bytes that may come out. */
  constructor(private readonly limit: number) {}

  /** @throws {Error} when `more` bytes would exceed the limit. */
  expect(more: number): void {
    if (this.#size + more > this.limit) throw new Error(`it unpacks to more than ${this.limit} bytes`);
  }

  /** @throws {Error} when more than the limit has come out. */
  append(part: Uint8Array): void {
    this.expect(part.length);
    const size = this.#size + part.length;
    if (size > this.#data.length) this.#grow(size);
    this.#data.set(part, this.#size);
    this.#size = size;
  }

  #grow(size: number): void {
    const capacity = Math.max(size, 2 * this.#data.length, FIRST_CAPACITY);
    const larger =
      (capacity > MOST_COPIED ? tryToAllocate(this.limit) : undefined) ??
      Buffer.allocUnsafeSlow(Math.min(capacity, this.limit));
    this.#data.copy(larger, 0, 0, this.#size);
    this.#data = larger;
  }

  /** All that came out. */
  get bytes(): Buffer {
    return this.#data.subarray(0, this.#size);
  }
}

/** Undefined where the host promises no more memory than it has. */
function tryToAllocate(size: number): Buffer<ArrayBuffer> | undefined {
  try {
    return Buffer.allocUnsafeSlow(size);
  } catch {
    return undefined;
  }
}
