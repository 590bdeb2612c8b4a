/**
 * The calls to a machine that has an image. A guest has written that file system, so its kernel may not be what was
 * started: it may answer nothing, a byte a minute, or nonsense. Each call may be silent for so long, all calls for a
 * file together take so long, and whatever else goes wrong is an error for people.
 */
import { constants } from 'node:os';
import { quote } from '../../config/errors.js';
import { type Operation, OperationError } from '../../protocol/operations.js';
import { Files } from '../../sandbox/files/files.js';
import type { FileStatus, MkdirOptions, RemoveOptions } from '../../sandbox/files/types.js';
import { layerInside, type RunningInside } from '../../sandbox/overlay/changes-inside.js';
import { MOST_MEMORY, type UpperLayer } from '../../sandbox/overlay/layer.js';
import { asRoot } from '../../sandbox/process/as-root.js';
import { BuiltinError } from '../../sandbox/process/builtin.js';
import { allowListeners } from '../../sandbox/process/process.js';
import { messageOf, SandboxError } from '../../util/errors.js';
import { unlessAborted } from '../../util/promises.js';
import { isFull, serviceError } from '../errors.js';

/** In milliseconds. */
export interface Bounds {
  /** How long the machine may answer nothing. */
  readonly silence: number;
  /** How long all calls for one file may take, besides the time for its bytes. */
  readonly file: number;
}

/** A busy host may be slow. */
const BOUNDS: Bounds = { silence: 60_000, file: 600_000 };

const UNWRITTEN: ReadonlySet<number> = new Set([constants.errno.EIO, constants.errno.EROFS]);

/** Bytes a millisecond: a machine that is emulated on a busy host takes more. */
const LEAST_SPEED = 256;

export class ImageSession {
  readonly #machine: RunningInside;
  readonly #files: Files;
  readonly #bounds: Bounds;

  constructor(machine: RunningInside, bounds = BOUNDS) {
    this.#machine = machine;
    this.#files = new Files(machine.channel, asRoot(machine.guest));
    this.#bounds = bounds;
  }

  /**
   * The layer that the image keeps.
   * @throws {SandboxError} as `layerInside`, and `service-image-slow`
   */
  async layer(): Promise<UpperLayer> {
    const read = () => layerInside(this.#machine, this.#bounds.silence);
    return this.file('the names', (calls) => calls.inTime(read), MOST_MEMORY);
  }

  /**
   * Runs `work` on one file.
   * @param path for errors
   * @param bytes how many of them the calls carry
   * @throws {SandboxError} `service-image-silent`, `service-image-slow`, `service-image-failed`, `service-image-full`,
   *   `service-image-unwritten`, and what `Files` throws
   */
  async file<T>(path: string, work: (calls: ImageCalls) => Promise<T>, bytes = 0): Promise<T> {
    const file = this.#bounds.file + Math.ceil(bytes / LEAST_SPEED);
    const calls = new ImageCalls({
      machine: this.#machine,
      files: this.#files,
      path,
      bounds: { ...this.#bounds, file },
    });
    try {
      return await work(calls);
    } finally {
      calls.end();
    }
  }
}

interface Called {
  readonly machine: RunningInside;
  readonly files: Files;
  readonly path: string;
  readonly bounds: Bounds;
}

/** Calls for one file, one after another. */
export class ImageCalls {
  readonly #called: Called;
  readonly #stop = new AbortController();
  readonly #deadline: NodeJS.Timeout;
  #silence: NodeJS.Timeout | undefined;

  constructor(called: Called) {
    const { path, bounds } = called;
    this.#called = called;
    allowListeners(this.#stop.signal);
    this.#deadline = setTimeout(() => this.#stop.abort(slowError(path, bounds.file)), bounds.file);
  }

  /** No more calls are made. */
  end(): void {
    clearTimeout(this.#deadline);
  }

  async stat(path: string): Promise<FileStatus> {
    return this.#heard((signal) => this.#called.files.stat(path, { followLinks: false, signal }));
  }

  async read(path: string, maxBytes: number): Promise<Buffer> {
    return this.#heard((signal) => this.#called.files.read(path, { maxBytes, signal }));
  }

  /** Reads a file of any size. @param take gets its bytes as they come; false: it has enough */
  async readPieces(path: string, take: (piece: Buffer) => boolean): Promise<void> {
    await this.#heard(async (signal) => {
      for await (const piece of this.#called.files.readStream(path, { signal })) {
        this.#silence?.refresh();
        if (!take(piece as Buffer)) return;
      }
    });
  }

  async write(path: string, data: string | Uint8Array | AsyncIterable<Uint8Array>, mode?: number): Promise<void> {
    const isWhole = typeof data === 'string' || data instanceof Uint8Array;
    const options = mode === undefined ? {} : { mode };
    await this.#written((signal) =>
      this.#called.files.write(path, isWhole ? data : this.#taken(data), { ...options, signal }),
    );
  }

  async mkdir(path: string, options: MkdirOptions): Promise<void> {
    await this.#written((signal) => this.#called.files.mkdir(path, { ...options, signal }));
  }

  /** With all that is below a directory it may say nothing for long. */
  async remove(path: string, options: RemoveOptions): Promise<void> {
    const remove = (signal: AbortSignal) => this.#called.files.remove(path, { ...options, signal });
    await this.#written(remove, options.recursive ? 'may be silent' : 'speaks');
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#written((signal) => this.#called.files.rename(from, to, { signal }));
  }

  async call(operation: Operation): Promise<void> {
    await this.#written(() => this.#called.machine.channel.call(operation, { tolerate: true }));
  }

  /** What was written is on the disk. */
  async sync(): Promise<void> {
    await this.#written(() => this.#called.machine.channel.call({ op: 'sync' }), 'may be silent');
  }

  /** A call that may say nothing for as long as it takes. */
  async inTime<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal } = this.#stop;
    const { path } = this.#called;
    try {
      signal.throwIfAborted();
      return await unlessAborted(call(signal), signal, (reason) => reason as Error);
    } catch (error) {
      if (isFull(error)) throw fullError(path, error);
      throw error instanceof SandboxError ? error : failedError(path, error);
    }
  }

  async #written<T>(
    call: (signal: AbortSignal) => Promise<T>,
    manner: 'speaks' | 'may be silent' = 'speaks',
  ): Promise<T> {
    try {
      return await (manner === 'speaks' ? this.#heard(call) : this.inTime(call));
    } catch (error) {
      throw isUnwritten(error) ? unwrittenError(this.#called.path, error) : error;
    }
  }

  async #heard<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { path, bounds } = this.#called;
    this.#silence = setTimeout(() => this.#stop.abort(silentError(path, bounds.silence)), bounds.silence);
    try {
      return await this.inTime(call);
    } finally {
      clearTimeout(this.#silence);
      this.#silence = undefined;
    }
  }

  /** One piece is asked for when the machine has taken the one before. */
  async *#taken(data: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of data) {
      this.#silence?.refresh();
      yield piece;
    }
  }
}

const REMEDY =
  'try it again when this host has less to do; if it does so each time, the guest may have damaged the image on purpose: ' +
  'put an older copy of it in its place, or create the service again';

function silentError(path: string, silence: number): SandboxError {
  return serviceError(
    'service-image-silent',
    `${quote(path)} in the image of the service: the machine with the image has answered nothing for ${silence / 1000} s`,
    REMEDY,
  );
}

function slowError(path: string, most: number): SandboxError {
  return serviceError(
    'service-image-slow',
    `${quote(path)} in the image of the service: the machine with the image was not done with it in ${most / 1000} s`,
    REMEDY,
  );
}

function failedError(path: string, cause: unknown): SandboxError {
  return serviceError(
    'service-image-failed',
    `${quote(path)} in the image of the service: the machine with the image failed: ${messageOf(cause)}`,
    REMEDY,
    cause,
  );
}

/** A disk has one error for all that goes wrong on the host, and none is written to afterwards. */
function isUnwritten(error: unknown): boolean {
  for (let one = error; one instanceof Error; one = one.cause)
    if (one instanceof OperationError || one instanceof BuiltinError) return UNWRITTEN.has(one.errno);
  return false;
}

function unwrittenError(path: string, cause: unknown): SandboxError {
  return serviceError(
    'service-image-unwritten',
    `${quote(path)} cannot be written to the image of the service: ${messageOf(cause)}`,
    'see whether the file system that keeps the image is full, or its disk has errors; make room there, and do it again',
    cause,
  );
}

function fullError(path: string, cause: unknown): SandboxError {
  return serviceError(
    'service-image-full',
    `${quote(path)} cannot be written to the image of the service: no space is left in the image`,
    'start the service and remove in it what it does not need, or create it again with a larger --imagesize',
    cause,
  );
}
