/**
 * Sets the name servers in /etc/resolv.conf, on a root that may be read-only: a file in memory is mounted over it. If
 * it is a symbolic link, the target counts; the target may be missing in a directory that is empty at first, such as
 * /run.
 */
import { posix } from 'node:path';
import { type Guest, OperationError } from '../../src/protocol/operations.js';
import { WriteFlag } from '../../src/protocol/wire.js';
import { attempt } from './attempt.js';
import type { GuestConfig, NameService } from './config.js';
import { MS_BIND } from './step.js';

const PATH = '/etc/resolv.conf';
/** The file in memory. /dev is a file system in memory in every sandbox. */
const OWN_FILE = '/dev/.virt-sandbox/resolv.conf';
/** Where the common init mounts a file system in memory. A mount of the config may cover it. */
const IN_MEMORY = ['/run', '/tmp', '/dev', '/dev/shm'];
/** The kernel follows no more. */
const MOST_LINKS = 40;
/** The C libraries read no more: resolv.conf(5). */
const MOST_SERVERS = 3;

const S_IFMT = 0o170_000;
const S_IFLNK = 0o120_000;
const NO_ENTRY = 2;
const NOT_DIRECTORY = 20;

export function resolverText({ servers, search }: NameService): string {
  return [
    ...(search.length === 0 ? [] : [`search ${search.join(' ')}`]),
    ...servers.slice(0, MOST_SERVERS).map((server) => `nameserver ${server}`),
    '',
  ].join('\n');
}

/**
 * Sets the name servers. Call it when everything is mounted.
 * @returns undefined, or a sentence that says why names will not be resolved
 * @throws {OperationError} if the file exists and cannot be mounted over
 */
export async function setUpResolver(
  guest: Guest,
  config: GuestConfig,
  names: NameService,
): Promise<string | undefined> {
  if (names.servers.length === 0) return 'no name server is known, so /etc/resolv.conf stays as it is in the root';
  const data = new TextEncoder().encode(resolverText(names));
  const file = await findFile(guest);
  if (file.exists) {
    const flags = WriteFlag.PARENTS;
    await Promise.all([
      guest.call({ op: 'writeFile', path: OWN_FILE, mode: 0o644, flags, data }),
      guest.call({ op: 'mount', source: OWN_FILE, target: PATH, fstype: '', flags: MS_BIND, data: '' }),
    ]);
    return undefined;
  }
  // Do not write a file that was not asked for to a directory of the host or to an image.
  if (isInMemory(config, file.path)) {
    await guest.call({ op: 'writeFile', path: file.path, mode: 0o644, flags: WriteFlag.PARENTS, data });
    return undefined;
  }
  const what = file.path === PATH ? PATH : `${file.path}, where ${PATH} leads,`;
  const servers = names.servers.join(', ');
  return `${what} does not exist in the root, so the name servers (${servers}) cannot be set; make an empty file there`;
}

/** Follows /etc/resolv.conf to the file that it means, which may not exist. Then its path has no links. */
async function findFile(guest: Guest): Promise<{ readonly path: string; readonly exists: boolean }> {
  if (await exists(guest, PATH, true)) return { path: PATH, exists: true };
  const left = partsOf(PATH);
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
  return { path: PATH, exists: false };
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

/** Whether a file at `path`, which has no links, would be in memory, and so be gone with the sandbox. */
function isInMemory(config: GuestConfig, path: string): boolean {
  const mounts = [
    ...IN_MEMORY.map((target) => ({ type: 'ram', target })),
    // Targets are as they were asked for: `/etc/`, `//etc`.
    ...config.mounts.map(({ type, target }) => ({ type, target: posix.resolve('/', target) })),
  ];
  const covering = mounts.filter(({ target }) => isWithin(path, target));
  // Of two mounts on one target, the later is on top.
  const deepest = covering.reduce((best, mount) => (mount.target.length >= best.target.length ? mount : best), {
    type: config.overlay === undefined ? (config.root.type as string) : config.overlay.type,
    target: '',
  });
  return deepest.type === 'ram';
}

/** Whether a normalized path is that directory or below it: `/mnt/a` is within `/mnt`, `/mnta` is not. */
function isWithin(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory}/`);
}
