/** Compares the file systems of two images. Neither is mounted. */
import { createHash } from 'node:crypto';
import { Turns, throwIfAborted } from '../cancel.js';
import { ErofsError, type ErofsInode, ErofsReader } from '../erofs/reader.js';
import { MOST_ENTRIES } from '../limits.js';
import { compareNames, type Difference, type NameTree } from './compare-names.js';

/** A path of MOST_PATH_BYTES has fewer directories. */
const MOST_DEPTH = 2048;
/** Names, and bytes of content, that are read before others have their turn. A read lets nobody have it. */
const NAMES_OF_A_TURN = 250;
const BYTES_OF_A_TURN = 1 << 20;

interface Node {
  readonly number: number;
  readonly inode: ErofsInode;
  readonly depth: number;
}

/**
 * What differs between two EROFS images: kind, permissions, owner, attributes, content, numbers of a device. Times do not
 * count: an image that is built again has others.
 * @throws {ErofsError} one of both is no image that was made here
 * @throws {SandboxError} `aborted`
 * @throws the error of a system call
 */
export async function differencesOf(before: string, after: string, signal?: AbortSignal): Promise<Difference[]> {
  const old = new ErofsReader(before);
  try {
    const now = new ErofsReader(after);
    try {
      const turns = new Turns(BYTES_OF_A_TURN, signal);
      return await compareNames(treeOf(old, signal), treeOf(now, signal), (a, b) =>
        isSame(old, a.inode, now, b.inode, turns),
      );
    } finally {
      now.close();
    }
  } finally {
    old.close();
  }
}

/** The names of an image. A damaged one may have a directory by many names, in itself among them: that has no end. */
function treeOf(reader: ErofsReader, signal: AbortSignal | undefined): NameTree<Node> {
  const turns = new Turns(NAMES_OF_A_TURN, signal);
  const directories = new Set<number>();
  let count = 0;
  return {
    root: { number: reader.root, inode: reader.inode(reader.root), depth: 0 },
    async names({ number, inode, depth }) {
      throwIfAborted(signal);
      if (inode.kind !== 'directory') return undefined;
      if (directories.has(number) || depth >= MOST_DEPTH) throw new ErofsError('a directory has two names');
      directories.add(number);
      const names = new Map<string, Node>();
      for (const [name, child] of reader.entries(inode)) {
        count += 1;
        if (count > MOST_ENTRIES) throw new ErofsError('it has more names than an image has');
        if (turns.isOver()) await turns.give();
        names.set(name, { number: child, inode: reader.inode(child), depth: depth + 1 });
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
  if (a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid) return false;
  if (old.attributes(a).join('\0') !== now.attributes(b).join('\0')) return false;
  if (a.kind === 'file' || a.kind === 'symlink')
    return a.size === b.size && (await digest(old, a, turns)) === (await digest(now, b, turns));
  return a.device === b.device;
}

async function digest(reader: ErofsReader, inode: ErofsInode, turns: Turns): Promise<string> {
  const hash = createHash('sha256');
  for (const piece of reader.data(inode)) {
    if (turns.isOver(piece.length)) await turns.give();
    hash.update(piece);
  }
  return hash.digest('hex');
}
