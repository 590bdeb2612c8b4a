/**
 * Files that the host provides, on a root that may be read-only: a file in memory is mounted over each. If the path is a
 * symbolic link, the target counts; the target may be missing in a directory that is empty at first, such as /run.
 */
import { posix } from 'node:path';
import { type Guest, OperationError } from '../../src/protocol/operations.js';
import { WriteFlag } from '../../src/protocol/wire.js';
import { attempt, succeeds } from './attempt.js';
import type { GuestConfig } from './config.js';
import { hasOwnDirectories } from './container.js';
import { MS_BIND } from './step.js';

/** Where the files in memory are. /dev is a file system in memory in every sandbox. */
const OWN = '/dev/.virt-sandbox';
/** Where the common init mounts a file system in memory. A mount of the config may cover it. */
const IN_MEMORY = ['/dev', '/dev/shm'];
/** The same, unless the root is that of an OCI image. */
const IN_MEMORY_OF_SYSTEMS = ['/run', '/tmp'];
/** File systems of the kernel, in which nothing is made. */
const KERNELS = ['/proc', '/sys'];
/** The kernel follows no more. */
const MOST_LINKS = 40;

const S_IFMT = 0o170_000;
const S_IFLNK = 0o120_000;
const NO_ENTRY = 2;
const NOT_DIRECTORY = 20;

/**
 * Lets a file have that text inside. Call it when everything is mounted.
 * @returns undefined; or the path of a file that is missing, and is not made since the root or an image would keep it
 * @throws {OperationError} if the file exists and cannot be mounted over
 */
export async function provideFile(
  guest: Guest,
  config: GuestConfig,
  path: string,
  text: string,
): Promise<string | undefined> {
  const data = new TextEncoder().encode(text);
  const file = await findFile(guest, path);
  const flags = WriteFlag.PARENTS;
  if (file.exists) {
    const own = ownFile(path);
    await Promise.all([
      guest.call({ op: 'writeFile', path: own, mode: 0o644, flags, data }),
      guest.call({ op: 'mount', source: own, target: path, fstype: '', flags: MS_BIND, data: '' }),
    ]);
    return undefined;
  }
  // Do not write a file that was not asked for to a directory of the host or to an image.
  if (!isOfSandbox(config, file.path)) return file.path;
  await guest.call({ op: 'writeFile', path: file.path, mode: 0o644, flags, data });
  return undefined;
}

/**
 * Lets a file have that text, without a look at what is there: a file that is missing is made, in the overlay.
 * @returns whether it has
 */
export async function mountOver(guest: Guest, path: string, text: string): Promise<boolean> {
  const data = new TextEncoder().encode(text);
  const own = ownFile(path);
  const make = { op: 'writeFile', mode: 0o644, data } as const;
  const calls = [
    attempt(guest, { ...make, path, flags: WriteFlag.PARENTS | WriteFlag.EXCLUSIVE }),
    attempt(guest, { ...make, path: own, flags: WriteFlag.PARENTS }),
    succeeds(guest, { op: 'mount', source: own, target: path, fstype: '', flags: MS_BIND, data: '' }),
  ] as const;
  const [, , isMounted] = await Promise.all(calls);
  return isMounted;
}

/**
 * Gives a file that is mounted over another text. Nobody sees a mount more.
 * @returns whether the path has it now
 */
export async function rewriteFile(guest: Guest, path: string, text: string): Promise<boolean> {
  const data = new TextEncoder().encode(text);
  const [, found] = await Promise.all([
    attempt(guest, { op: 'writeFile', path: ownFile(path), mode: 0o644, flags: WriteFlag.PARENTS, data }),
    attempt(guest, { op: 'readFile', path, limit: data.length }),
  ]);
  return found !== undefined && new TextDecoder().decode(found) === text;
}

function ownFile(path: string): string {
  return posix.join(OWN, posix.basename(path));
}

/** Follows a path to the file that it means, which may not exist. Then its path has no links. */
async function findFile(guest: Guest, path: string): Promise<{ readonly path: string; readonly exists: boolean }> {
  if (await exists(guest, path, true)) return { path, exists: true };
  const left = partsOf(path);
  let at = '/';
  for (let links = 0; links <= MOST_LINKS; ) {
    const name = left.shift();
    if (name === undefined) return { path: at, exists: false };
    const next = posix.join(at, name);
    const target = name === '..' ? undefined : await linkAt(guest, next);
    if (target === undefined) {
      at = next;
      continue;
    }
    links += 1;
    left.unshift(...partsOf(target));
    if (target.startsWith('/')) at = '/';
  }
  return { path, exists: false };
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

async function linkAt(guest: Guest, path: string): Promise<string | undefined> {
  const found = await attempt(guest, { op: 'stat', path, follow: false });
  if (found === undefined || (found.mode & S_IFMT) !== S_IFLNK) return undefined;
  return (await guest.call({ op: 'readLink', path })).value;
}

async function exists(guest: Guest, path: string, follow: boolean): Promise<boolean> {
  try {
    await guest.call({ op: 'stat', path, follow }, { tolerate: true });
    return true;
  } catch (error) {
    if (error instanceof OperationError && (error.errno === NO_ENTRY || error.errno === NOT_DIRECTORY)) return false;
    throw error;
  }
}

/**
 * Whether a file at `path`, which has no links, would be the sandbox's own: in memory, and so gone with it, or in the
 * overlay of an OCI image.
 */
function isOfSandbox(config: GuestConfig, path: string): boolean {
  const mounts = [
    ...[...IN_MEMORY, ...(hasOwnDirectories(config) ? IN_MEMORY_OF_SYSTEMS : [])].map((target) => ({
      type: 'ram',
      target,
    })),
    ...KERNELS.map((target) => ({ type: 'kernel', target })),
    // Targets are as they were asked for: `/etc/`, `//etc`.
    ...config.mounts.map(({ type, target }) => ({ type, target: posix.resolve('/', target) })),
  ];
  const covering = mounts.filter(({ target }) => isWithin(path, target));
  // Of two mounts on one target, the later is on top.
  const deepest = covering.reduce((best, mount) => (mount.target.length >= best.target.length ? mount : best), {
    type: typeOfRoot(config),
    target: '',
  });
  return deepest.type === 'ram';
}

function typeOfRoot({ ociRoot, overlay, root }: GuestConfig): string {
  if (ociRoot) return 'ram';
  return overlay === undefined ? root.type : overlay.type;
}

/** Whether a normalized path is that directory or below it: `/mnt/a` is within `/mnt`, `/mnta` is not. */
export function isWithin(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory}/`);
}
