/** A tar archive of this host as a tree of files: it is read once for their names, and then where they are. */
import type { FileHandle } from 'node:fs/promises';
import { streamFormat } from '../../compression/stream.js';
import { imageError, quoted } from '../../oci-names/errors.js';
import { TarError } from '../tar/pieces.js';
import { TarReader } from '../tar/reader.js';
import type { FileTree } from './file-tree.js';
import { openFile, readRange } from './open-file.js';

/** Files that an archive of images may have. */
const MOST_FILES = 100_000;
/** Bytes that are read for the headers of an entry. */
const HEADERS = 4096;
/** Links that lead to each other. */
const MOST_LINKS = 8;

interface Place {
  readonly position: number;
  readonly size: number;
}

export class Archive implements FileTree {
  private constructor(
    readonly path: string,
    private readonly file: FileHandle,
    private readonly places: ReadonlyMap<string, Place | string>,
  ) {}

  /**
   * @throws {SandboxError} `image-not-found`, `image-unreadable`, `archive-invalid`, `aborted`
   */
  static async open(path: string, signal?: AbortSignal): Promise<Archive> {
    const file = await openFile(path);
    try {
      const { size } = await file.stat();
      const start = Buffer.alloc(8);
      await file.read(start, 0, start.length, 0);
      if (streamFormat(start) !== 'none')
        throw archiveError(path, 'is packed', 'unpack it first, with gunzip or the like');
      return new Archive(path, file, await placesIn(file, size, path, signal));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async size(name: string): Promise<number | undefined> {
    return this.#place(name)?.size;
  }

  stream(name: string, from: number, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    const place = this.#place(name) ?? { position: 0, size: 0 };
    const end = place.position + place.size;
    return readRange(this.file, { from: place.position + from, to: end, path: this.path }, signal);
  }

  /** Docker's archives have links in the place of layers that they have already. */
  #place(name: string): Place | undefined {
    let found = this.places.get(name);
    for (let links = 0; typeof found === 'string' && links < MOST_LINKS; links += 1) found = this.places.get(found);
    return typeof found === 'string' ? undefined : found;
  }

  close(): Promise<void> {
    return this.file.close();
  }
}

export function archiveError(path: string, why: string, remedy: string, cause?: unknown) {
  return imageError('archive-invalid', `${quoted(path)} ${why}`, remedy, cause);
}

/** Seeks over content: an archive has gigabytes of it, and some hundred names. */
async function placesIn(
  file: FileHandle,
  size: number,
  path: string,
  signal: AbortSignal | undefined,
): Promise<Map<string, Place | string>> {
  const places = new Map<string, Place | string>();
  let start = 0;
  try {
    while (start < size) {
      const reader = new TarReader(readRange(file, { from: start, to: size, path, piece: HEADERS }, signal));
      const entry = await reader.next();
      if (entry === undefined) break;
      const name = plainName(entry.name);
      const position = start + entry.position;
      if (entry.type === 'file') places.set(name, { position, size: entry.size });
      else if (entry.type === 'link') places.set(name, plainName(entry.link));
      else if (entry.type === 'symlink') places.set(name, beside(name, entry.link));
      if (places.size > MOST_FILES) throw new TarError(`has more than ${MOST_FILES} files`);
      if (position + entry.size > size) throw new TarError('is cut off');
      start = position + Math.ceil(entry.size / 512) * 512;
      await reader.close();
    }
  } catch (error) {
    if (!(error instanceof TarError)) throw error;
    throw archiveError(path, error.message, 'make the archive again', error);
  }
  return places;
}

function plainName(name: string): string {
  return name.replace(/^(\.?\/+)+/, '');
}

/** The name that a symbolic link leads to, from the directory that it is in. */
function beside(name: string, link: string): string {
  const parts = link.startsWith('/') ? [] : name.split('/').slice(0, -1);
  for (const part of link.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.' && part !== '') parts.push(part);
  }
  return parts.join('/');
}
