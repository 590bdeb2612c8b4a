/**
 * Copies includes into a directory of the host, before the sandbox starts. An earlier sandbox may have written to that
 * directory, so no symbolic link in it is followed: each part of a path is opened relative to the directory before it.
 */
import { constants } from 'node:fs';
import { type FileHandle, lchown, lstat, mkdir, open, readlink, symlink } from 'node:fs/promises';
import { posix } from 'node:path';
import { covers, normalizePath } from '../config/path.js';
import type { Identity, Include } from '../config/types.js';
import { isSystemError, messageOf } from '../util/errors.js';
import type { CopyObserver, Entry } from './entry.js';
import { deviceError, includeError, throughLinkError } from './errors.js';
import { entriesOf, reading } from './walk.js';

const { O_CREAT, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY } = constants;

/** Bytes per read. */
const PIECE = 1 << 20;

/** A directory to copy includes into. */
export interface Destination {
  /** Path on the host. */
  readonly directory: string;
  /** Path in the guest. */
  readonly target: string;
}

/**
 * Copies `includes` into a directory.
 *
 * @param owner Becomes the owner of everything that is copied, if this process is root.
 * @throws {SandboxError} `include-unreadable`, `include-failed`, `include-through-link`, `include-device`
 */
export async function copyToDirectory(
  { directory, target }: Destination,
  includes: readonly Include[],
  owner: Identity,
  { onLeftOut, onPiece }: CopyObserver,
): Promise<void> {
  for (const include of includes) {
    for await (const entry of entriesOf(include)) {
      if (!covers(target, entry.target)) throw new Error(`${entry.target} is not below ${target}`);
      if (entry.kind === 'socket') {
        onLeftOut(`${entry.source} is a socket, and is not copied`);
        continue;
      }
      const parts = posix
        .relative(normalizePath(target), normalizePath(entry.target))
        .split('/')
        .filter((part) => part !== '');
      try {
        await copyEntry(directory, parts, entry, owner, onPiece);
      } catch (error) {
        if (!isSystemError(error)) throw error;
        throw includeError(entry, messageOf(error), error.code, error);
      }
    }
  }
}

async function copyEntry(
  directory: string,
  parts: readonly string[],
  entry: Entry,
  owner: Identity,
  onPiece: () => void,
): Promise<void> {
  const name = parts.at(-1);
  // The mount's own directory stays as it is.
  if (name === undefined) return requireDirectory(entry);
  const parent = await openParent(directory, parts.slice(0, -1), entry);
  try {
    await make(below(parent, name), entry, owner, onPiece);
  } finally {
    await parent.close();
  }
}

function requireDirectory(entry: Entry): void {
  if (entry.kind !== 'directory')
    throw includeError(entry, 'the target is the mount itself, not a path in it', undefined);
}

/** A path through an open directory. Child processes of this one can use it too. */
function below(parent: FileHandle, name: string): string {
  return `/proc/${process.pid}/fd/${parent.fd}/${name}`;
}

/** Opens the directory `parts` below `directory`. Makes what is missing; the caller closes the result. */
async function openParent(directory: string, parts: readonly string[], entry: Entry): Promise<FileHandle> {
  let at = await open(directory, O_RDONLY | O_DIRECTORY);
  for (const [index, part] of parts.entries()) {
    const path = below(at, part);
    try {
      await mkdir(path, { mode: 0o755 }).catch(ignoreExisting);
      const next = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      await at.close();
      at = next;
    } catch (error) {
      const isLink = await readlink(path).then(
        () => true,
        () => false,
      );
      await at.close();
      throw isLink ? throughLinkError(entry, posix.join(directory, ...parts.slice(0, index + 1))) : error;
    }
  }
  return at;
}

/** Makes one file, directory, link or pipe at `path`, whose parent directory is held open. */
async function make(path: string, entry: Entry, owner: Identity, onPiece: () => void): Promise<void> {
  switch (entry.kind) {
    case 'directory': {
      await mkdir(path, { mode: 0o700 }).catch(ignoreExisting);
      await using made = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      await setOwnerAndMode(made, entry, owner);
      return;
    }
    case 'file': {
      await using from = await reading(entry.source, open(entry.source, O_RDONLY | O_NOFOLLOW));
      // O_NONBLOCK: opening a pipe in its place fails instead of waiting.
      await using to = await open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, 0o600);
      // Root in an earlier guest may have made a device there.
      if (!(await to.stat()).isFile()) throw includeError(entry, 'something other than a file is there', 'EEXIST');
      await copyBytes(from, to, entry, onPiece);
      await setOwnerAndMode(to, entry, owner);
      return;
    }
    case 'link':
      await makeLink(path, entry.leadsTo);
      return setLinkOwner(path, owner);
    case 'pipe':
      await makePipe(path, entry.mode);
      return setLinkOwner(path, owner);
    case 'device':
      throw deviceError(entry);
    case 'socket':
  }
}

/** Sets owner and mode through the descriptor, since another sandbox may replace what has the name. */
async function setOwnerAndMode(made: FileHandle, entry: Entry, owner: Identity): Promise<void> {
  if (mayChangeOwner()) await made.chown(owner.uid, owner.gid);
  // After chown, which clears the set-user-ID and set-group-ID bits.
  await made.chmod(entry.mode);
}

async function setLinkOwner(path: string, owner: Identity): Promise<void> {
  if (mayChangeOwner()) await lchown(path, owner.uid, owner.gid);
}

function mayChangeOwner(): boolean {
  return process.getuid?.() === 0;
}

async function copyBytes(from: FileHandle, to: FileHandle, entry: Entry, onPiece: () => void): Promise<void> {
  for (;;) {
    const { bytesRead, buffer } = await reading(entry.source, from.read(Buffer.allocUnsafe(PIECE), 0, PIECE));
    if (bytesRead === 0) return;
    await to.writeFile(buffer.subarray(0, bytesRead));
    onPiece();
  }
}

/** Makes a symbolic link. The same link from an earlier run is kept. */
async function makeLink(path: string, leadsTo: string): Promise<void> {
  try {
    await symlink(leadsTo, path);
  } catch (error) {
    if (!isSystemError(error, 'EEXIST') || (await readlink(path).catch(() => undefined)) !== leadsTo) throw error;
  }
}

/** Makes a pipe with mkfifo(1), since Node.js has no mkfifo(3). A pipe from an earlier run is kept. */
async function makePipe(path: string, mode: number): Promise<void> {
  const { execa } = await import('execa');
  const { failed, stderr } = await execa('mkfifo', ['-m', mode.toString(8), '--', path], { reject: false });
  if (!failed || (await isPipe(path))) return;
  throw Object.assign(new Error(stderr.trim() || 'there is no mkfifo'), { code: 'EEXIST' });
}

async function isPipe(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isFIFO();
  } catch {
    return false;
  }
}

function ignoreExisting(error: unknown): void {
  if (!isSystemError(error, 'EEXIST')) throw error;
}
