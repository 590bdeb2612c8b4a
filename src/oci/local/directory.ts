/** A directory of this host as a tree of files. Whose it is does not matter: no name in it leads elsewhere. */
import type { FileHandle } from 'node:fs/promises';
import { lstat, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { imageError, quoted } from '../../oci-names/errors.js';
import { isSystemError } from '../../util/errors.js';
import { openRegular, UnreadableFile } from '../../util/regular-files.js';
import type { FileTree } from './file-tree.js';
import { fileError, readRange } from './open-file.js';

export class Directory implements FileTree {
  constructor(readonly path: string) {}

  async size(name: string): Promise<number | undefined> {
    try {
      const found = await lstat(join(this.path, name));
      return found.isFile() ? found.size : undefined;
    } catch (error) {
      if (!isSystemError(error, 'ENOENT') && !isSystemError(error, 'ENOTDIR'))
        throw fileError(error, join(this.path, name));
      await this.#mustBeThere();
      return undefined;
    }
  }

  async #mustBeThere(): Promise<void> {
    await stat(this.path).catch((error: unknown) => {
      throw fileError(error, this.path);
    });
  }

  async *stream(name: string, from: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const path = join(this.path, name);
    const file = await this.#open(path);
    try {
      yield* readRange(file, { from, to: (await file.stat()).size, path }, signal);
    } finally {
      await file.close();
    }
  }

  async #open(path: string): Promise<FileHandle> {
    try {
      return await openRegular(path);
    } catch (error) {
      if (error instanceof UnreadableFile)
        throw imageError('image-unreadable', `${quoted(path)} ${error.message}`, 'put the file itself there', error);
      throw fileError(error, path);
    }
  }

  async close(): Promise<void> {}
}
