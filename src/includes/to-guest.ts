/** Copies includes through the channel. The guest follows links on the way, unless there are rules for them. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { constants as os } from 'node:os';
import { posix } from 'node:path';
import type { PlacedInclude } from '../config/include-mount.js';
import type { Identity, Include } from '../config/types.js';
import { type Guest, type Operation, OperationError } from '../protocol/operations.js';
import { WriteFlag } from '../protocol/wire.js';
import type { CopyObserver, Entry } from './entry.js';
import { includeError } from './errors.js';
import { InsideMount, type LinkRules } from './inside-mount.js';
import { entriesOf, reading } from './walk.js';

/** File content per packet, in bytes. */
const PIECE = 128 * 1024;
/** Most calls in flight: enough to keep the channel busy, and few enough to not hold whole files in memory. */
const WINDOW = 16;

/**
 * Copies `includes` into the guest.
 *
 * @param owner Becomes the owner of everything that is copied.
 * @param rules undefined: no link leads anywhere that matters
 * @throws {SandboxError} `include-unreadable`, `include-failed`, `include-through-link`
 */
export async function copyToGuest(
  guest: Guest,
  includes: readonly PlacedInclude[],
  owner: Identity,
  { onLeftOut, onPiece }: CopyObserver,
  rules?: LinkRules,
): Promise<void> {
  const ways = rules && new InsideMount(guest, rules);
  const copier = new Copier(guest, owner, onPiece);
  for (const { include } of includes) {
    if ((await ways?.isMount(include.target)) !== true) await copier.makeParent(include, ways);
    for await (const entry of entriesOf(include)) {
      if (entry.kind === 'socket') onLeftOut(`${entry.source} is a socket, and is not copied`);
      else await copier.copy(entry, (await ways?.pathOf(entry)) ?? entry.target);
    }
  }
  await copier.finish();
}

/** As mknod(2) has it. */
interface NodeKind {
  readonly type: number;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
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

  async makeParent({ source, target }: Include, ways: InsideMount | undefined): Promise<void> {
    const above = posix.dirname(target);
    const path = (await ways?.pathOf({ kind: 'directory', source, target: above })) ?? above;
    await this.#send({ kind: 'directory', source, target, mode: 0o755 }, { op: 'mkdir', path, mode: 0o755 });
  }

  /** @param path where the guest has it; errors name the target */
  async copy(entry: Entry, path: string): Promise<void> {
    const { uid, gid } = this.#owner;
    await this.#make(entry, path);
    await this.#send(entry, { op: 'chown', path, uid, gid });
    // After chown, which clears the set-user-ID and set-group-ID bits.
    if (entry.kind !== 'link') await this.#send(entry, { op: 'chmod', path, mode: entry.mode });
  }

  async finish(): Promise<void> {
    while (this.#inFlight.length > 0) await this.#inFlight.shift();
  }

  async #make(entry: Entry, path: string): Promise<void> {
    const { mode } = entry;
    switch (entry.kind) {
      case 'directory':
        return this.#send(entry, { op: 'mkdir', path, mode });
      case 'file':
        return this.#write(entry, path);
      case 'link':
        return this.#send(entry, { op: 'symlink', target: entry.leadsTo, path });
      case 'pipe':
        return this.#makeNode(entry, path, { type: constants.S_IFIFO, deviceMajor: 0, deviceMinor: 0 });
      case 'device':
        return this.#makeNode(entry, path, {
          type: entry.isBlock ? constants.S_IFBLK : constants.S_IFCHR,
          deviceMajor: entry.major,
          deviceMinor: entry.minor,
        });
      case 'socket':
        return;
    }
  }

  async #write(entry: Entry, path: string): Promise<void> {
    await using file = await reading(entry.source, open(entry.source, constants.O_RDONLY | constants.O_NOFOLLOW));
    for (let at = 0; ; ) {
      const { bytesRead, buffer } = await reading(entry.source, file.read(Buffer.allocUnsafe(PIECE), 0, PIECE, at));
      if (bytesRead === 0 && at > 0) return;
      await this.#send(entry, {
        op: 'writeFile',
        path,
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
  async #makeNode(entry: Entry, path: string, { type, ...device }: NodeKind): Promise<void> {
    const operation = { op: 'mknod', path, mode: type | entry.mode, ...device } as const;
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
