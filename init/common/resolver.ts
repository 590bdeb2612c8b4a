/**
 * /etc/resolv.conf on a root that cannot be written to: a file in memory is mounted over it. Where it is a symbolic link the file that
 * it leads to counts, which may be in a directory that is empty at first, such as /run.
 */
import { posix } from 'node:path';
import { type Guest, OperationError } from '../../src/protocol/operations.js';
import { WriteFlag } from '../../src/protocol/wire.js';
import type { GuestConfig, NameService } from './config.js';
import { MS_BIND } from './step.js';

const PATH = '/etc/resolv.conf';
/** /dev is in memory in every sandbox, and what is here is seen through the mount alone. */
const OWN_FILE = '/dev/.virt-sandbox/resolv.conf';
/** Directories that the common init itself fills with memory, unless a mount covers them. */
const IN_MEMORY = ['/run', '/tmp', '/dev', '/dev/shm'];
/** As many as the kernel follows. */
const MOST_LINKS = 40;
/** resolv.conf(5): the C libraries look at no more. */
const MOST_SERVERS = 3;

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
 * Gives the sandbox its name servers; to be called when all is mounted.
 * @returns undefined, or a sentence that says why names will not be resolved
 * @throws {OperationError} when the file is there and nothing can be mounted over it
 */
export async function setUpResolver(
  guest: Guest,
  config: GuestConfig,
  names: NameService,
): Promise<string | undefined> {
  if (names.servers.length === 0) return 'no name server is known, so /etc/resolv.conf stays as it is in the root';
  const data = new TextEncoder().encode(resolverText(names));
  const place = await findFile(guest);
  if (place.there) {
    const flags = WriteFlag.PARENTS;
    await Promise.all([
      guest.call({ op: 'writeFile', path: OWN_FILE, mode: 0o644, flags, data }),
      guest.call({ op: 'mount', source: OWN_FILE, target: PATH, fstype: '', flags: MS_BIND, data: '' }),
    ]);
    return undefined;
  }
  // A directory of the host, or an image, is not to get a file that nobody asked for.
  if (isInMemory(config, place.path)) {
    await guest.call({ op: 'writeFile', path: place.path, mode: 0o644, flags: WriteFlag.PARENTS, data });
    return undefined;
  }
  const what = place.path === PATH ? PATH : `${place.path}, where ${PATH} leads,`;
  return `${what} does not exist in the root, so the name servers (${names.servers.join(', ')}) cannot be set; make an empty file there`;
}

/** Where /etc/resolv.conf leads, and whether there is a file. */
async function findFile(guest: Guest): Promise<{ readonly path: string; readonly there: boolean }> {
  if (await exists(guest, PATH, true)) return { path: PATH, there: true };
  let path = PATH;
  for (let links = 0; links < MOST_LINKS; links += 1) {
    if (!(await exists(guest, path, false))) break;
    const { value } = await guest.call({ op: 'readLink', path });
    path = posix.resolve(posix.dirname(path), value);
  }
  return { path, there: false };
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

/** Whether what is written there is gone with the sandbox. */
function isInMemory(config: GuestConfig, path: string): boolean {
  // /var/run is a link to /run almost everywhere.
  const place = path.startsWith('/var/run/') ? path.slice('/var'.length) : path;
  const mounts = [
    ...IN_MEMORY.map((target) => ({ type: 'ram', target })),
    // Targets are as they were asked for: `/etc/`, `//etc`.
    ...config.mounts.map(({ type, target }) => ({ type, target: posix.resolve('/', target) })),
  ];
  const covering = mounts.filter(({ target }) => isWithin(place, target));
  // Of two on one place the later one is on top.
  const deepest = covering.reduce((best, mount) => (mount.target.length >= best.target.length ? mount : best), {
    type: config.root.type as string,
    target: '',
  });
  return deepest.type === 'ram';
}

/** Whether a normalized path is that directory or below it: `/mnt/a` is within `/mnt`, `/mnta` is not. */
function isWithin(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory}/`);
}
