/** Files of a state that a directory keeps. A guest has made all of it: no link is followed, and only files are opened. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  type Stats,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import type { KeptOverlay } from '../../sandbox/devices/overlay-directory.js';
import { layerOf, upperLayers } from '../../sandbox/devices/overlay-layers.js';
import { Descent } from '../../sandbox/files/tree/descent.js';
import { isSystemError, withPath } from '../../util/errors.js';
import { MOST_BYTES, type StateFiles } from './identity.js';

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants;

/** Without those that make a program another's. */
const PERMISSIONS = 0o777;

/** Errors of a name that is not there, or is of another kind. */
const ABSENT = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'];

export class DirectoryFiles implements StateFiles {
  readonly #kept: KeptOverlay;

  constructor(kept: KeptOverlay) {
    this.#kept = kept;
  }

  async read(path: string): Promise<Buffer | undefined> {
    return this.#in(path, (directory, name) => readPlain(directory.path(name))?.content);
  }

  async replace(path: string, content: string | Buffer): Promise<void> {
    this.#in(path, (directory, name) => {
      const old = readPlain(directory.path(name));
      if (old === undefined) return;
      const fresh = directory.path(Buffer.from(`.virt-sandbox-${randomBytes(8).toString('hex')}`));
      try {
        writeFresh(fresh, content, old.found);
        renameSync(fresh, directory.path(name));
      } catch (error) {
        unlinkIfThere(fresh);
        throw withPath(error, `${this.#kept.directory}${path}`);
      }
    });
  }

  /** The result of `act` in the directory of a path; undefined if the state has no such directory. */
  #in<T>(path: string, act: (directory: Descent, name: Buffer) => T): T | undefined {
    const layer = layerOf(upperLayers(this.#kept.layers, this.#kept.kind), path);
    if (layer === undefined) return undefined;
    const names = [...layer.way, ...path.slice(layer.mount.length + 1).split('/')];
    const last = names.pop() ?? '';
    const directory = new Descent(this.#kept.layers);
    try {
      for (const name of names) directory.enter(Buffer.from(name));
      return act(directory, Buffer.from(last));
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    } finally {
      directory.close();
    }
  }
}

function readPlain(path: Buffer): { readonly content: Buffer; readonly found: Stats } | undefined {
  // Where a mount has no devices, a whiteout cannot be opened.
  if (lstatSync(path, { throwIfNoEntry: false })?.isFile() !== true) return undefined;
  // One that others wait at is no reason to wait.
  const fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  try {
    const found = fstatSync(fd);
    if (!found.isFile() || found.size > MOST_BYTES) return undefined;
    return { content: readFileSync(fd), found };
  } finally {
    closeSync(fd);
  }
}

function writeFresh(path: Buffer, content: string | Buffer, { uid, gid, mode }: Stats): void {
  const fd = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    writeFileSync(fd, content);
    fchownSync(fd, uid, gid);
    fchmodSync(fd, mode & PERMISSIONS);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function unlinkIfThere(path: Buffer): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
  }
}

function isAbsent(error: unknown): boolean {
  return ABSENT.some((code) => isSystemError(error, code));
}
