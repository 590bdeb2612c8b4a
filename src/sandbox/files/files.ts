/** Files of a running sandbox. Each method loads what it needs when it is called. */
import { PassThrough, Readable } from 'node:stream';
import type { GuestConfig } from '../../../init/common/config.js';
import type { Channel } from '../../protocol/channel.js';
import { Queue } from '../../util/queue.js';
import type { FileAccess } from './access.js';
import type { CopyOptions, CopyResult } from './tree/types.js';
import type {
  FileData,
  FileEntry,
  FileOptions,
  FileStatus,
  MkdirOptions,
  ReadOptions,
  RemoveOptions,
  StatOptions,
  WatchOptions,
  WriteOptions,
} from './types.js';
import type { FileWatcher } from './watch.js';

/** Calls that run at once; the others wait. Streams and watchers do not count: they may wait for one another. */
const MOST_CALLS = 32;

/**
 * What a program does to files inside. It has the rights of its user there, and links lead where they lead inside. A
 * relative path begins at the working directory of the application.
 *
 * Every method rejects with a {@link SandboxError} `file-not-found`, `file-exists`, `permission-denied`,
 * `not-a-directory`, `is-a-directory`, `directory-not-empty`, `no-space`, `file-too-large`, or `file-failed` for anything
 * else that the system says; with `user-unknown`, `users-unreadable`, `cwd-unusable` and `spawn-failed`; with
 * `process-lost` if the sandbox ends; with `config-value-invalid` and `config-key-unknown`; and with the signal's reason
 * if that aborts.
 */
export class Files {
  readonly #access: FileAccess;

  /** @internal */
  constructor(channel: Channel, guest: GuestConfig) {
    this.#access = { channel, guest, queue: new Queue(MOST_CALLS) };
  }

  /** Reads a whole file. `file-too-large`: it has more than `maxBytes`. */
  read(path: string, options: ReadOptions & { readonly encoding: 'utf8' }): Promise<string>;
  read(path: string, options?: ReadOptions & { readonly encoding?: undefined }): Promise<Buffer>;
  async read(path: string, options: ReadOptions = {}): Promise<Buffer | string> {
    const { readFile } = await import('./read.js');
    return readFile(this.#access, path, options);
  }

  /** Reads a file of any size. The stream is destroyed with the error if it fails; destroying it ends the reading. */
  readStream(path: string, options: FileOptions = {}): Readable {
    const stream = new PassThrough();
    void import('./read.js').then(({ streamFile }) => streamFile(this.#access, path, options, stream));
    return stream;
  }

  /**
   * Writes a file. Others see the old one until all bytes are there, then the new one, which has the mode of the old one.
   * If it fails or is aborted, the old one stays.
   * @param data a stream is read to its end, or destroyed if writing fails
   */
  async write(path: string, data: FileData, options: WriteOptions = {}): Promise<void> {
    // It may fail before anybody reads it: that is a failure of this call.
    if (data instanceof Readable) data.on('error', () => {});
    const { writeFile } = await import('./write.js');
    await writeFile(this.#access, path, data, options);
  }

  /** The entries of a directory, sorted by name. */
  async list(path: string, options: FileOptions = {}): Promise<FileEntry[]> {
    const { listDirectory } = await import('./list.js');
    return listDirectory(this.#access, path, options);
  }

  async stat(path: string, options: StatOptions = {}): Promise<FileStatus> {
    const { statFile } = await import('./list.js');
    return statFile(this.#access, path, options);
  }

  /** False if nothing is there, or if a link leads nowhere. */
  async exists(path: string, options: FileOptions = {}): Promise<boolean> {
    const { fileExists } = await import('./list.js');
    return fileExists(this.#access, path, options);
  }

  async mkdir(path: string, options: MkdirOptions = {}): Promise<void> {
    const { makeDirectory } = await import('./change.js');
    await makeDirectory(this.#access, path, options);
  }

  /** Removes a file, a link or an empty directory. It follows no link, and removes no mount. */
  async remove(path: string, options: RemoveOptions = {}): Promise<void> {
    const { removeFile } = await import('./change.js');
    await removeFile(this.#access, path, options);
  }

  /** Renames a file, or moves it within a file system. It replaces a file of that name. */
  async rename(from: string, to: string, options: FileOptions = {}): Promise<void> {
    const { renameFile } = await import('./change.js');
    await renameFile(this.#access, from, to, options);
  }

  /**
   * Copies a file or a directory of the host into the sandbox, as `cp -a` does: into `path` if that is a directory, else
   * to that name. Of `hostPath/.` it copies what is in the directory. What is made belongs to the user inside.
   * Besides the errors above: `copy-too-large`, and `copy-failed` instead of `file-failed`; `file-exists` where a
   * directory is in the way of a file. A message says on which side the file is.
   */
  async upload(hostPath: string, path: string, options: CopyOptions = {}): Promise<CopyResult> {
    const { checkFileCall } = await import('./schema.js');
    checkFileCall('copy', [hostPath, path], options);
    const { uploadTree } = await import('./tree/upload.js');
    return uploadTree(this.#access.channel, this.#access.guest, hostPath, path, options);
  }

  /**
   * Copies a file or a directory of the sandbox to the host, as {@link upload} does. What is made belongs to this
   * process's user, and has no set-user-ID and set-group-ID bits. Whatever a hostile sandbox sends, nothing but the
   * destination changes: no link is followed there, and files have their names when they are whole.
   * Besides the errors of {@link upload}: `tree-malformed`, if the sandbox sends what is no tree.
   */
  async download(path: string, hostPath: string, options: CopyOptions = {}): Promise<CopyResult> {
    const { checkFileCall } = await import('./schema.js');
    checkFileCall('copy', [path, hostPath], options);
    const { downloadTree } = await import('./tree/download.js');
    return downloadTree(this.#access.channel, this.#access.guest, path, hostPath, options);
  }

  /**
   * Watches a file, or the entries of a directory, with `recursive` also those of all directories below. When the promise
   * resolves, all later changes are seen. The watcher ends by `return()`, by the signal, with what it watches, and with
   * the sandbox. Besides the errors above: `too-many-watches`, also later, for more directories than can be watched.
   */
  async watch(path: string, options: WatchOptions = {}): Promise<FileWatcher> {
    const { watchFile } = await import('./watch.js');
    return watchFile(this.#access, path, options);
  }
}
