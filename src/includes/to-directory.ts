/**
 * Copies includes into a directory of the host, before anything is started. A sandbox may have written to that directory earlier, so no
 * symbolic link in it is followed: every step of a path is opened by itself, from the directory before it.
 */
import { constants } from 'node:fs';
import { type FileHandle, lchown, lstat, mkdir, open, readlink, symlink } from 'node:fs/promises';
import { posix } from 'node:path';
import { covers, normalizePath } from '../config/path.js';
import type { Identity, Include } from '../config/types.js';
import { isSystemError, messageOf } from '../util/errors.js';
import { deviceError, includeError, throughLinkError } from './failure.js';
import { type CopyObserver, type Entry, entriesOf, reading } from './walk.js';

const { O_CREAT, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY } = constants;

const PIECE = 1 << 20;

/** Where includes go. */
export interface Destination {
  /** On the host. */
  readonly directory: string;
  /** What the directory is inside. */
  readonly target: string;
}

/**
 * @param owner everything that is copied becomes this user's, where the caller may give files away
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
  // The mount's own directory stays the person's.
  if (name === undefined) return requireDirectory(entry);
  const parent = await openParent(directory, parts.slice(0, -1), entry);
  try {
    await make(below(parent, name), entry, owner, onPiece);
  } finally {
    await parent.close();
  }
}

function requireDirectory(entry: Entry): void {
  if (entry.kind !== 'directory') throw includeError(entry, 'that is the mount itself, and no place in it', undefined);
}

/** A path through an open directory; also for other processes, which this one outlives. */
function below(parent: FileHandle, name: string): string {
  return `/proc/${process.pid}/fd/${parent.fd}/${name}`;
}

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

async function make(path: string, entry: Entry, owner: Identity, onPiece: () => void): Promise<void> {
  switch (entry.kind) {
    case 'directory': {
      await mkdir(path, { mode: 0o700 }).catch(ignoreExisting);
      await using made = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      await settle(made, entry, owner);
      return;
    }
    case 'file': {
      await using from = await reading(entry.source, open(entry.source, O_RDONLY | O_NOFOLLOW));
      // Non-blocking, so that a pipe in its place is an error and no wait.
      await using to = await open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, 0o600);
      // Root inside could have made a device of the host there.
      if (!(await to.stat()).isFile()) throw includeError(entry, 'something that is no file is there', 'EEXIST');
      await copyBytes(from, to, entry, onPiece);
      await settle(to, entry, owner);
      return;
    }
    case 'link':
      await makeLink(path, entry.leadsTo);
      return giveAway(path, owner);
    case 'pipe':
      await makePipe(path, entry.mode);
      return giveAway(path, owner);
    case 'device':
      throw deviceError(entry);
    case 'socket':
  }
}

/** By the descriptor, since another sandbox may change what the name means. */
async function settle(made: FileHandle, entry: Entry, owner: Identity): Promise<void> {
  if (mayGiveAway()) await made.chown(owner.uid, owner.gid);
  // Behind the owner, for whom the kernel clears the bits that change the user.
  await made.chmod(entry.mode);
}

async function giveAway(path: string, owner: Identity): Promise<void> {
  if (mayGiveAway()) await lchown(path, owner.uid, owner.gid);
}

function mayGiveAway(): boolean {
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

/** One that is there from an earlier run is as good as a new one. */
async function makeLink(path: string, leadsTo: string): Promise<void> {
  try {
    await symlink(leadsTo, path);
  } catch (error) {
    if (!isSystemError(error, 'EEXIST') || (await readlink(path).catch(() => undefined)) !== leadsTo) throw error;
  }
}

/** Node has no mkfifo(3). */
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
