/** Changes of files inside, as they happen. */
import { ProtocolError } from '../../protocol/fields.js';
import { SandboxError } from '../../util/errors.js';
import { unlessAborted } from '../../util/promises.js';
import type { Builtin } from '../process/builtin.js';
import { type FileAccess, type FileProgram, startFor } from './access.js';
import { fileError } from './errors.js';
import { RecordParser } from './record-parser.js';
import { decodeChange } from './records.js';
import { checkFileCall } from './schema.js';
import type { FileChange, WatchOptions } from './types.js';

/** Changes of one file or directory. It ends by `return()`, by its signal, with what it watches, and with the sandbox. */
export class FileWatcher implements AsyncIterableIterator<FileChange> {
  readonly #builtin: Builtin;
  readonly #program: FileProgram;
  readonly #changes: AsyncGenerator<FileChange | undefined, void>;
  #isClosed = false;

  /** @internal */
  constructor(builtin: Builtin, program: FileProgram, signal: AbortSignal | undefined) {
    this.#builtin = builtin;
    this.#program = program;
    this.#changes = changesOf(builtin, program, () => this.#isClosed || signal?.aborted === true);
  }

  /**
   * Waits until every change is seen.
   * @internal
   */
  async start(): Promise<void> {
    const { done } = await this.#changes.next();
    if (done) throw fileError(new ProtocolError('no record'), this.#program);
  }

  /** @throws {SandboxError} `file-failed` if what watches was killed inside, or answers with what cannot be */
  async next(): Promise<IteratorResult<FileChange, undefined>> {
    for (;;) {
      const { value, done } = await this.#changes.next();
      // Changes of a chunk that was taken before it was closed are not wanted either.
      if (done || this.#isClosed) return { value: undefined, done: true };
      if (value !== undefined) return { value, done: false };
    }
  }

  async return(): Promise<IteratorResult<FileChange, undefined>> {
    this.#isClosed = true;
    void this.#builtin.kill();
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}

/** @throws as `Files.watch` */
export async function watchFile(access: FileAccess, path: string, options: WatchOptions): Promise<FileWatcher> {
  checkFileCall('watch', [path], options);
  const argv = ['watch', path, options.recursive ? '1' : '0'];
  const program = { argv, paths: [path], action: 'watch', path };
  const builtin = await startFor(access, program, options);
  builtin.stdin.end();
  const watcher = new FileWatcher(builtin, program, options.signal);
  try {
    await unlessAborted(watcher.start(), options.signal, (reason) => reason as Error);
    return watcher;
  } catch (error) {
    await watcher.return();
    throw error;
  }
}

/** @returns undefined for the record that says that it watches */
async function* changesOf(builtin: Builtin, program: FileProgram, isClosed: () => boolean) {
  const parser = new RecordParser();
  try {
    for await (const chunk of builtin.stdout as AsyncIterable<Buffer>) {
      for (const record of parser.push(chunk)) yield decodeChange(record);
    }
    await builtin.ended;
    parser.end();
  } catch (error) {
    void builtin.kill();
    if (isClosed() || (error instanceof SandboxError && error.code === 'process-lost')) return;
    throw fileError(error, program);
  }
}
