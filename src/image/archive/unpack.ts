/** Unpacks an initrd into a directory, as the kernel unpacks it into its root: later entries replace earlier ones. */

import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  futimesSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { makeDirectories } from '../../util/directories.js';
import { isSystemError, messageOf, SandboxError } from '../../util/errors.js';
import { printable } from './newc.js';
import { isLinked, plainPath, sharedContents } from './read.js';
import { type Node, Tree } from './tree.js';
import { type Archive, type ArchiveEntry, ArchiveError } from './types.js';

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
/** Permission bits of mode_t. */
const PERMISSIONS = 0o7777;
/** Permission bits that an ordinary user may set, since the files had another owner: no set-user-ID. */
const PLAIN_PERMISSIONS = 0o777;

export interface UnpackResult {
  /** Number of unpacked entries. */
  readonly unpacked: number;
  /** Entries that an ordinary user cannot make, with the reason, as lines for people. */
  readonly skipped: readonly string[];
}

/** Makes a device, a pipe or a socket with mknod(2), which Node lacks. */
type MakeNode = (node: Node, entry: ArchiveEntry) => void;

/**
 * Unpacks all archives into `directory`. It must be empty, or is made. Nothing is written outside it.
 *
 * For root, each file gets its owner from the archive, and nobody else may enter a directory that is made. Other users
 * own what they unpack, and can make no devices.
 *
 * @throws {SandboxError} `unpack-not-empty`, `archive-unsafe`, `unpack-failed`.
 */
export async function unpackArchives(archives: readonly Archive[], directory: string): Promise<UnpackResult> {
  const entries = archives.flatMap((archive) => archive.entries);
  // Check before writing anything, so that a hostile archive is not unpacked in part.
  for (const { name } of entries) {
    if (name.split('/').includes('..')) throw unsafe(`it has the name ${printable(name)}, which leads out of it`);
  }
  const isRoot = process.geteuid?.() === 0;
  const makeNode = isRoot && entries.some(isNode) ? await nodeMaker() : undefined;
  let tree: Tree;
  try {
    // Others may not enter: what is unpacked may be a set-user-ID program or a device.
    if (makeDirectories(directory) !== undefined) chmodSync(directory, 0o700);
    if (readdirSync(directory).length > 0) {
      throw new SandboxError({
        stage: 'image',
        code: 'unpack-not-empty',
        message: `${directory} is not empty`,
        remedy: 'name a directory that does not exist or is empty',
      });
    }
    tree = new Tree(directory);
  } catch (error) {
    throw error instanceof SandboxError ? error : failed(directory, error);
  }
  try {
    return new Unpacker(tree, isRoot, makeNode).run(archives);
  } catch (error) {
    if (error instanceof ArchiveError) throw unsafe(error.message);
    throw failed(directory, error);
  } finally {
    tree.close();
  }
}

function unsafe(message: string): SandboxError {
  return new SandboxError({
    stage: 'image',
    code: 'archive-unsafe',
    message: `the initrd is not unpacked: ${message}`,
    remedy: 'look at it with virt-sandbox-bake ls; do not trust where it came from',
  });
}

function failed(directory: string, error: unknown): unknown {
  if (!isSystemError(error)) return error;
  const where = error instanceof UnpackError ? ` at ${error.entry}` : '';
  return new SandboxError({
    stage: 'image',
    code: 'unpack-failed',
    // The error's own path is in /proc/self/fd and means nothing to the user, so name the entry.
    message: `the initrd cannot be unpacked into ${directory} (${error.code}${where})`,
    remedy: error.code === 'ENOSPC' ? 'free some space there' : 'name a directory that you may write to',
    cause: error,
  });
}

/** A system call failed for an entry. */
class UnpackError extends Error {
  readonly code: string;

  constructor(
    readonly entry: string,
    cause: NodeJS.ErrnoException,
  ) {
    super(messageOf(cause), { cause });
    this.code = cause.code ?? 'unknown';
  }
}

function isNode({ type }: ArchiveEntry): boolean {
  return type === 'character-device' || type === 'block-device' || type === 'fifo' || type === 'socket';
}

async function nodeMaker(): Promise<MakeNode> {
  const { default: koffi } = await import('koffi');
  const mknod = koffi.load('libc.so.6').func('int mknod(const char *path, unsigned int mode, uint64_t dev)');
  return (node, { mode, rdevMajor, rdevMinor, name }) => {
    // gnu_dev_makedev of <sys/sysmacros.h>.
    const [major, minor] = [BigInt(rdevMajor), BigInt(rdevMinor)];
    const device = (minor & 0xffn) | ((major & 0xfffn) << 8n) | ((minor & ~0xffn) << 12n) | ((major & ~0xfffn) << 32n);
    if (mknod(Buffer.concat([node.path, Buffer.of(0)]), mode, device) === 0) return;
    throw Object.assign(new Error(`mknod of ${name} failed`), {
      code: koffi.errno() === 1 ? 'EPERM' : `errno ${koffi.errno()}`,
    });
  };
}

/** The first name of each hard-linked file of an archive, found by inode and by name. */
class FirstNames {
  readonly #names = new Map<string, string>();
  readonly #inodes = new Map<string, string>();

  set(inode: string, name: string): void {
    this.#names.set(inode, name);
    this.#inodes.set(name, inode);
  }

  of(inode: string): string | undefined {
    return this.#names.get(inode);
  }

  delete(name: string): void {
    const inode = this.#inodes.get(name);
    if (inode === undefined) return;
    this.#inodes.delete(name);
    this.#names.delete(inode);
  }
}

class Unpacker {
  #unpacked = 0;
  readonly #skipped: string[] = [];
  /** Directories by path. They get their modes and times at the end, after everything has been written into them. */
  readonly #directories = new Map<string, ArchiveEntry>();

  constructor(
    private readonly tree: Tree,
    private readonly isRoot: boolean,
    private readonly makeNode: MakeNode | undefined,
  ) {}

  run(archives: readonly Archive[]): UnpackResult {
    for (const { entries } of archives) {
      const contents = sharedContents(entries);
      const first = new FirstNames();
      for (const entry of entries) this.#entry(entry, contents, first);
    }
    // Deepest first: the final mode of a directory may forbid entering it.
    const depth = (path: string) => path.split('/').length;
    const directories = [...this.#directories].sort(([a], [b]) => depth(b) - depth(a));
    for (const [path, entry] of directories) this.#finishDirectory(path, entry);
    return { unpacked: this.#unpacked, skipped: this.#skipped };
  }

  #entry(entry: ArchiveEntry, contents: ReadonlyMap<string, Buffer>, first: FirstNames): void {
    const path = plainPath(entry.name);
    // The root itself exists.
    if (path === '') return;
    try {
      const isMade = this.tree.at(path, (node) => {
        node.clear(entry.type === 'directory');
        // The new entry takes this name away from an earlier hard-linked file.
        first.delete(path);
        this.#directories.delete(path);
        return this.#make(entry, path, node, contents, first);
      });
      if (isMade) this.#unpacked += 1;
    } catch (error) {
      throw isSystemError(error) ? new UnpackError(printable(entry.name), error) : error;
    }
  }

  #make(
    entry: ArchiveEntry,
    path: string,
    node: Node,
    contents: ReadonlyMap<string, Buffer>,
    first: FirstNames,
  ): boolean {
    switch (entry.type) {
      case 'directory':
        if (node.stat() === undefined) mkdirSync(node.path, { mode: 0o700 });
        this.#directories.set(path, entry);
        return true;
      case 'file': {
        const other = isLinked(entry) ? first.of(entry.inode) : undefined;
        if (other !== undefined) {
          this.tree.at(other, (existing) => linkSync(existing.path, node.path));
          return true;
        }
        if (isLinked(entry)) first.set(entry.inode, path);
        this.#writeFile(entry, node, (isLinked(entry) ? contents.get(entry.inode) : undefined) ?? entry.data);
        return true;
      }
      case 'symlink':
        symlinkSync(entry.data, node.path);
        if (this.isRoot) lchownSync(node.path, entry.uid, entry.gid);
        lutimesSync(node.path, entry.mtime, entry.mtime);
        return true;
      case 'unknown':
        this.#skipped.push(`${printable(entry.name)}: its type is unknown (mode ${entry.mode.toString(8)})`);
        return false;
      default:
        if (this.makeNode === undefined) {
          this.#skipped.push(`${printable(entry.name)}: only root can make a ${entry.type}`);
          return false;
        }
        this.makeNode(node, entry);
        lchownSync(node.path, entry.uid, entry.gid);
        // chmod follows links, but the node was made just now and is no link.
        chmodSync(node.path, entry.mode & PERMISSIONS);
        lutimesSync(node.path, entry.mtime, entry.mtime);
        return true;
    }
  }

  #writeFile(entry: ArchiveEntry, node: Node, content: Buffer): void {
    const fd = openSync(node.path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      for (let done = 0; done < content.length; ) done += writeSync(fd, content, done);
      // Changing the owner clears set-user-ID, so set the mode after it.
      if (this.isRoot) lchownSync(node.path, entry.uid, entry.gid);
      fchmodSync(fd, this.#permissions(entry));
      futimesSync(fd, entry.mtime, entry.mtime);
    } finally {
      closeSync(fd);
    }
  }

  #finishDirectory(path: string, entry: ArchiveEntry): void {
    this.tree.at(path, (node) => {
      if (node.stat()?.isDirectory() !== true) return;
      if (this.isRoot) lchownSync(node.path, entry.uid, entry.gid);
      const fd = node.openDirectory();
      try {
        fchmodSync(fd, this.#permissions(entry));
        futimesSync(fd, entry.mtime, entry.mtime);
      } finally {
        closeSync(fd);
      }
    });
  }

  #permissions({ mode }: ArchiveEntry): number {
    return mode & (this.isRoot ? PERMISSIONS : PLAIN_PERMISSIONS);
  }
}
