/** Writes files inside. */
import { once } from 'node:events';
import { Readable, type Writable } from 'node:stream';
import { unlessAborted } from '../../util/promises.js';
import { type Builtin, BuiltinError } from '../process/builtin.js';
import { type FileAccess, type FileProgram, startFor, startInTurn } from './access.js';
import { fileError } from './errors.js';
import { checkData, checkFileCall, checkPiece } from './schema.js';
import type { FileData, WriteOptions } from './types.js';

const USUAL_MODE = 0o644;

/** @throws as `Files.write` */
export async function writeFile(
  access: FileAccess,
  path: string,
  data: FileData,
  options: WriteOptions,
): Promise<void> {
  const source = new Source(data, options?.signal);
  try {
    checkFileCall('write', [path], options);
    checkData(data);
    await writeFrom(access, path, source, options);
  } catch (error) {
    source.giveUp();
    throw error;
  }
}

async function writeFrom(access: FileAccess, path: string, source: Source, options: WriteOptions): Promise<void> {
  const { mode = USUAL_MODE, append = false, signal } = options;
  const argv = ['write', path, String(mode), append ? '1' : '0'];
  const program: FileProgram = { argv, paths: [path], action: 'write', path };
  // A stream may wait for another call.
  const start = source.isStream ? startFor : startInTurn;
  // It removes its temporary file then, and leaves the file as it was.
  const builtin = await start(access, program, options, 'SIGTERM');
  builtin.stdout.resume();
  try {
    await unlessAborted(fill(builtin, source), signal, (reason) => reason as Error);
  } catch (error) {
    void builtin.kill();
    throw fileError(error, program);
  }
}

/** The end of stdin says that all was written, so it is sent only then. */
async function fill(builtin: Builtin, source: Source): Promise<void> {
  const pouring = source.pour(builtin.stdin);
  pouring.catch(() => {});
  try {
    // The source may keep it waiting for ever.
    await Promise.race([pouring, builtin.ended]);
    if (!builtin.stdin.writableEnded) throw new BuiltinError(0, 'it ended before it had all');
    await builtin.ended;
  } catch (error) {
    source.giveUp();
    await builtin.kill();
    // Nothing is half done when the caller knows of it.
    await builtin.ended.catch(() => {});
    throw error;
  }
}

/** What is written. */
class Source {
  readonly #data: FileData;
  readonly #signal: AbortSignal | undefined;
  #pieces: AsyncIterator<string | Uint8Array> | undefined;
  #isGivenUp = false;

  constructor(data: FileData, signal: AbortSignal | undefined) {
    this.#data = data;
    this.#signal = signal;
  }

  get isStream(): boolean {
    return !(typeof this.#data === 'string' || this.#data instanceof Uint8Array);
  }

  /** Writes it all, and the end, unless it is given up. */
  async pour(to: Writable): Promise<void> {
    if (typeof this.#data === 'string' || this.#data instanceof Uint8Array) {
      to.end(this.#data);
      return;
    }
    this.#pieces = this.#data[Symbol.asyncIterator]();
    for (;;) {
      const { value, done } = await this.#pieces.next();
      // A source that ends at the same signal has not given all.
      if (this.#isGivenUp || this.#signal?.aborted) return;
      if (done) break;
      checkPiece(value);
      if (!to.write(value)) await once(to, 'drain');
    }
    this.#pieces = undefined;
    to.end();
  }

  /** What is left of it is not wanted. */
  giveUp(): void {
    if (this.#isGivenUp) return;
    this.#isGivenUp = true;
    if (this.#data instanceof Readable) this.#data.destroy();
    else void this.#close().catch(() => {});
  }

  async #close(): Promise<void> {
    await this.#pieces?.return?.();
  }
}
