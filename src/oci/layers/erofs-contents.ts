/**
 * Compares an EROFS image with what it was made of. mkfs.erofs goes on when a write of content fails, and succeeds: its
 * image then has zeros in the place of a file (lib/tar.c, tarerofs_write_file_data, 1.8.6).
 */
import { open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { throwIfAborted } from '../cancel.js';
import { ErofsReader } from './erofs-reader.js';
import { ImageBytes, ImageDamage } from './image-bytes.js';
import type { Merge } from './merge.js';
import type { Node } from './tree.js';

/**
 * The first name that is not in an image as it should be, with its path; undefined for a good image.
 * @param sums CRC-32 of the content that went in, by inodes of the merge
 * @throws {SandboxError} `aborted`
 * @throws the error of a system call
 */
export async function findDamage(
  path: string,
  merge: Merge,
  sums: Uint32Array,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const file = await open(path, 'r');
  const comparison = new Comparison(new ImageBytes(file), merge, sums);
  try {
    return await comparison.run(signal);
  } catch (error) {
    if (error instanceof ImageDamage) return comparison.path;
    throw error;
  } finally {
    await file.close();
  }
}

class Comparison {
  /** Where it is. */
  path = '/';
  #names = 0;
  readonly #seen: Uint8Array;

  constructor(
    private readonly bytes: ImageBytes,
    private readonly merge: Merge,
    private readonly sums: Uint32Array,
  ) {
    this.#seen = new Uint8Array(sums.length);
  }

  async run(signal: AbortSignal | undefined): Promise<string | undefined> {
    const { tree } = this.merge;
    const reader = await ErofsReader.open(this.bytes);
    const stack: (readonly [node: Node, number: number])[] = [[tree.root, reader.root]];
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      const [directory, number] = next;
      const path = tree.path(directory);
      this.path = `/${path}`;
      for await (const [name, child] of reader.entries(await reader.inode(number))) {
        throwIfAborted(signal);
        this.path = `/${path === '' ? '' : `${path}/`}${name}`;
        const node = tree.child(directory, name);
        this.#names += 1;
        if (node === 0 || this.#names > tree.size) return this.path;
        if (tree.isDirectory(node)) stack.push([node, child]);
        else if (!(await this.#isSame(reader, tree.inode(node), child))) return this.path;
      }
    }
    this.path = '/';
    return this.#names === tree.size ? undefined : this.path;
  }

  /** Whether an inode has the content that went in. One with several names is read once. */
  async #isSame(reader: ErofsReader, inode: number, number: number): Promise<boolean> {
    if (this.#seen[inode] === 1) return true;
    this.#seen[inode] = 1;
    const found = await reader.inode(number);
    if (found.kind !== 'file') return true;
    let sum = 0;
    for await (const piece of reader.data(found)) sum = crc32(piece, sum);
    return sum === this.sums[inode];
  }
}
