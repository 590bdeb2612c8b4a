/**
 * Copies includes through the channel. The guest follows links on the way: they cannot lead out of a machine, and nobody
 * has left any in a container, except in an overlay that is kept.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { constants as os } from 'node:os';
import { posix } from 'node:path';
import { attempt } from '../../init/common/attempt.js';
import type { PlacedInclude } from '../config/include-mount.js';
import { covers, normalizePath } from '../config/path.js';
import type { Identity, Include } from '../config/types.js';
import { type Guest, type Operation, OperationError } from '../protocol/operations.js';
import { WriteFlag } from '../protocol/wire.js';
import type { CopyObserver, Entry } from './entry.js';
import { includeError, throughLinkError } from './errors.js';
import { entriesOf, reading } from './walk.js';

/** File content per packet, in bytes. */
const PIECE = 128 * 1024;
/** Most calls in flight: enough to keep the channel busy, and few enough to not hold whole files in memory. */
const WINDOW = 16;

/**
 * Copies `includes` into the guest.
 *
 * @param owner Becomes the owner of everything that is copied.
 * @param refusesLinks Nothing is copied over a link that is there already, below the mount that covers the include.
 * @throws {SandboxError} `include-unreadable`, `include-failed`, `include-through-link`
 */
export async function copyToGuest(
  guest: Guest,
  includes: readonly PlacedInclude[],
  owner: Identity,
  { onLeftOut, onPiece }: CopyObserver,
  refusesLinks = false,
): Promise<void> {
  const copier = new Copier(guest, owner, onPiece);
  for (const { include, mount } of includes) {
    if (refusesLinks) await refuseLinks(guest, include, mount.target);
    await copier.makeParent(include);
    for await (const entry of entriesOf(include)) {
      if (entry.kind === 'socket') onLeftOut(`${entry.source} is a socket, and is not copied`);
      else {
        // What the last calls have made counts too: the guest takes one after the other.
        if (refusesLinks && entry.kind !== 'link') await refuseLink(guest, entry, entry.target);
        await copier.copy(entry);
      }
    }
  }
  await copier.finish();
}

/** On the way from the mount to the include. */
async function refuseLinks(guest: Guest, { source, target }: Include, mount: string): Promise<void> {
  const above = normalizePath(mount);
  let path = posix.dirname(normalizePath(target));
  for (; path !== above && covers(above, path); path = posix.dirname(path))
    await refuseLink(guest, { source, target }, path);
}

async function refuseLink(guest: Guest, entry: Pick<Entry, 'source' | 'target'>, path: string): Promise<void> {
  const found = await attempt(guest, { op: 'stat', path, follow: false });
  if (found !== undefined && (found.mode & constants.S_IFMT) === constants.S_IFLNK)
    throw throughLinkError(entry, path, 'inside');
}

class Copier {
  readonly #guest: Guest;
  readonly #owner: Identity;
  readonly #inFlight: Promise<void>[] = [];
  readonly #onPiece: () => void;

  constructor(guest: Guest, owner: Identity, onPiece: () => void) {
    this.#guest = guest;
    this.#owner = owner;
    this.#onPiece = onPiece;
  }

  async makeParent({ source, target }: Include): Promise<void> {
    const path = posix.dirname(target);
    await this.#send({ kind: 'directory', source, target, mode: 0o755 }, { op: 'mkdir', path, mode: 0o755 });
  }

  async copy(entry: Entry): Promise<void> {
    const { target: path } = entry;
    const { uid, gid } = this.#owner;
    await this.#make(entry);
    await this.#send(entry, { op: 'chown', path, uid, gid });
    // After chown, which clears the set-user-ID and set-group-ID bits.
    if (entry.kind !== 'link') await this.#send(entry, { op: 'chmod', path, mode: entry.mode });
  }

  async finish(): Promise<void> {
    while (this.#inFlight.length > 0) await this.#inFlight.shift();
  }

  async #make(entry: Entry): Promise<void> {
    const { target: path, mode } = entry;
    switch (entry.kind) {
      case 'directory':
        return this.#send(entry, { op: 'mkdir', path, mode });
      case 'file':
        return this.#write(entry);
      case 'link':
        return this.#send(entry, { op: 'symlink', target: entry.leadsTo, path });
      case 'pipe':
        return this.#makeNode(entry, constants.S_IFIFO, 0, 0);
      case 'device':
        return this.#makeNode(entry, entry.isBlock ? constants.S_IFBLK : constants.S_IFCHR, entry.major, entry.minor);
      case 'socket':
        return;
    }
  }

  async #write(entry: Entry): Promise<void> {
    await using file = await reading(entry.source, open(entry.source, constants.O_RDONLY | constants.O_NOFOLLOW));
    for (let at = 0; ; ) {
      const { bytesRead, buffer } = await reading(entry.source, file.read(Buffer.allocUnsafe(PIECE), 0, PIECE, at));
      if (bytesRead === 0 && at > 0) return;
      await this.#send(entry, {
        op: 'writeFile',
        path: entry.target,
        // No other user may read it until it is complete.
        mode: 0o600,
        flags: at === 0 ? 0 : WriteFlag.APPEND,
        data: buffer.subarray(0, bytesRead),
      });
      if (bytesRead === 0) return;
      at += bytesRead;
    }
  }

  /** Makes a device or a pipe. The same one from an earlier run is kept. */
  async #makeNode(entry: Entry, type: number, deviceMajor: number, deviceMinor: number): Promise<void> {
    const path = entry.target;
    const operation = { op: 'mknod', path, mode: type | entry.mode, deviceMajor, deviceMinor } as const;
    try {
      await this.#guest.call(operation, { tolerate: true });
    } catch (error) {
      if (!(error instanceof OperationError)) throw error;
      if (error.errno !== os.errno.EEXIST || !(await this.#isNode(path, operation))) throw guestError(entry, error);
    }
  }

  async #isNode(path: string, wanted: { mode: number; deviceMajor: number; deviceMinor: number }): Promise<boolean> {
    const { value } = await this.#guest.call({ op: 'stat', path, follow: false });
    const type = constants.S_IFMT;
    return (
      (value.mode & type) === (wanted.mode & type) &&
      value.deviceMajor === wanted.deviceMajor &&
      value.deviceMinor === wanted.deviceMinor
    );
  }

  /** Sends an operation. Waits for the oldest one if more than {@link WINDOW} are in flight, and throws its error. */
  async #send(entry: Entry, operation: Operation): Promise<void> {
    const sent = this.#guest.call(operation).then(
      () => this.#onPiece(),
      (error: unknown) => {
        throw error instanceof OperationError ? guestError(entry, error) : error;
      },
    );
    // Its error is thrown when its turn comes, so it is not unhandled.
    sent.catch(() => {});
    this.#inFlight.push(sent);
    if (this.#inFlight.length > WINDOW) await this.#inFlight.shift();
  }
}

function guestError(entry: Entry, error: OperationError): Error {
  const code = Object.entries(os.errno).find(([, number]) => number === error.errno)?.[0];
  return includeError(entry, error.message, code, error);
}
