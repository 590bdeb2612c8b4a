/** Compares the file systems of two images. Neither is mounted. */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { Turns, throwIfAborted } from '../cancel.js';
import { MOST_ENTRIES } from '../limits.js';
import { compareNames, type Difference, type NameTree } from './compare-names.js';
import { type ErofsInode, ErofsReader } from './erofs-reader.js';
import { ImageBytes, ImageDamage } from './image-bytes.js';

/** A path of MOST_PATH_BYTES has fewer directories. */
const MOST_DEPTH = 2048;
/** Names, and bytes of content, that are read before others have their turn. Windows that are kept are not waited for. */
const NAMES_OF_A_TURN = 1000;
const BYTES_OF_A_TURN = 8 << 20;

interface Node {
  readonly number: number;
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
    const turns = new Turns(BYTES_OF_A_TURN, signal);
    return await compareNames(oldTree, newTree, (a, b) => isSame(old, a.inode, now, b.inode, turns));
  } finally {
    for (const file of files) await file.close();
  }
}

/** The names of an image. A damaged one may have a directory by many names, in itself among them: that has no end. */
async function treeOf(reader: ErofsReader, signal: AbortSignal | undefined): Promise<NameTree<Node>> {
  const turns = new Turns(NAMES_OF_A_TURN, signal);
  const directories = new Set<number>();
  let count = 0;
  return {
    root: { number: reader.root, inode: await reader.inode(reader.root), depth: 0 },
    async names({ number, inode, depth }) {
      throwIfAborted(signal);
      if (inode.kind !== 'directory') return undefined;
      if (directories.has(number) || depth >= MOST_DEPTH) throw new ImageDamage();
      directories.add(number);
      const names = new Map<string, Node>();
      for await (const [name, child] of reader.entries(inode)) {
        count += 1;
        if (count > MOST_ENTRIES) throw new ImageDamage();
        if (turns.isOver()) await turns.give();
        names.set(name, { number: child, inode: await reader.inode(child), depth: depth + 1 });
      }
      return names;
    },
  };
}

async function isSame(
  old: ErofsReader,
  a: ErofsInode,
  now: ErofsReader,
  b: ErofsInode,
  turns: Turns,
): Promise<boolean> {
  if (a.kind !== b.kind || a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid) return false;
  const attributes = await Promise.all([old.attributes(a), now.attributes(b)]);
  if (attributes[0].join('\0') !== attributes[1].join('\0')) return false;
  if (a.kind === 'file' || a.kind === 'symlink')
    return a.size === b.size && (await digest(old, a, turns)) === (await digest(now, b, turns));
  return a.kind.endsWith('-device') ? a.device === b.device : true;
}

async function digest(reader: ErofsReader, inode: ErofsInode, turns: Turns): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of reader.data(inode)) {
    if (turns.isOver(piece.length)) await turns.give();
    hash.update(piece);
  }
  return hash.digest('hex');
}
