/** Compares the file systems of two images. Neither is mounted. */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { throwIfAborted } from '../cancel.js';
import { compareNames, type Difference, type NameTree } from './compare-names.js';
import { type ErofsInode, ErofsReader } from './erofs-reader.js';
import { ImageBytes } from './image-bytes.js';

/** A directory that is deeper than any that is made here would be one that leads to itself. */
const MOST_DEPTH = 2048;

interface Node {
  readonly inode: ErofsInode;
  readonly depth: number;
}

/**
 * What differs between two EROFS images: kind, permissions, owner, attributes, content, numbers of a device. Times do not
 * count: an image that is built again has others.
 * @throws {ImageDamage} one of both is no image that was made here
 * @throws {SandboxError} `aborted`
 * @throws the error of a system call
 */
export async function differencesOf(before: string, after: string, signal?: AbortSignal): Promise<Difference[]> {
  const files: FileHandle[] = [];
  try {
    for (const path of [before, after]) files.push(await open(path, 'r'));
    const [old, now] = await Promise.all(files.map((file) => ErofsReader.open(new ImageBytes(file))));
    if (old === undefined || now === undefined) throw new Error('two files were opened');
    const [oldTree, newTree] = [await treeOf(old, signal), await treeOf(now, signal)];
    return await compareNames(oldTree, newTree, (a, b) => isSame(old, a.inode, now, b.inode));
  } finally {
    for (const file of files) await file.close();
  }
}

async function treeOf(reader: ErofsReader, signal: AbortSignal | undefined): Promise<NameTree<Node>> {
  return {
    root: { inode: await reader.inode(reader.root), depth: 0 },
    async names({ inode, depth }) {
      throwIfAborted(signal);
      if (inode.kind !== 'directory' || depth >= MOST_DEPTH) return undefined;
      const names = new Map<string, Node>();
      for await (const [name, number] of reader.entries(inode))
        names.set(name, { inode: await reader.inode(number), depth: depth + 1 });
      return names;
    },
  };
}

async function isSame(old: ErofsReader, a: ErofsInode, now: ErofsReader, b: ErofsInode): Promise<boolean> {
  if (a.kind !== b.kind || a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid) return false;
  const attributes = await Promise.all([old.attributes(a), now.attributes(b)]);
  if (attributes[0].join('\0') !== attributes[1].join('\0')) return false;
  if (a.kind === 'file' || a.kind === 'symlink')
    return a.size === b.size && (await digest(old, a)) === (await digest(now, b));
  return a.kind.endsWith('-device') ? a.device === b.device : true;
}

async function digest(reader: ErofsReader, inode: ErofsInode): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of reader.data(inode)) hash.update(piece);
  return hash.digest('hex');
}
