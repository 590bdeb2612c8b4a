/** Copies includes through the channel. Inside, links on the way are followed: they lead nowhere but to what is inside. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { constants as os } from 'node:os';
import { posix } from 'node:path';
import type { Identity, Include } from '../config/types.js';
import { type Guest, type Operation, OperationError } from '../protocol/operations.js';
import { WriteFlag } from '../protocol/wire.js';
import { includeError } from './failure.js';
import { type CopyObserver, type Entry, entriesOf, reading } from './walk.js';

/** How much of a file goes in one packet, in bytes. */
const PIECE = 128 * 1024;
/** How many calls may be under way: enough to keep the channel busy, and little enough not to hold files in memory. */
const WINDOW = 16;

/**
 * @param owner everything that is copied becomes this user's
 * @throws {SandboxError} `include-unreadable`, `include-failed`
 */
export async function copyToGuest(
  guest: Guest,
  includes: readonly Include[],
  owner: Identity,
  { onLeftOut, onPiece }: CopyObserver,
): Promise<void> {
  const copier = new Copier(guest, owner, onPiece);
  for (const include of includes) {
    await copier.makeParent(include);
    for await (const entry of entriesOf(include)) {
      if (entry.kind === 'socket') onLeftOut(`${entry.source} is a socket, and is not copied`);
      else await copier.copy(entry);
    }
  }
  await copier.finish();
}

class Copier {
  readonly #guest: Guest;
  readonly #owner: Identity;
  readonly #underWay: Promise<void>[] = [];

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
    // Behind the owner, for whom the kernel clears the bits that change the user.
    if (entry.kind !== 'link') await this.#send(entry, { op: 'chmod', path, mode: entry.mode });
  }

  async finish(): Promise<void> {
    while (this.#underWay.length > 0) await this.#underWay.shift();
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
        // Nobody else's until it is whole.
        mode: 0o600,
        flags: at === 0 ? 0 : WriteFlag.APPEND,
        data: buffer.subarray(0, bytesRead),
      });
      if (bytesRead === 0) return;
      at += bytesRead;
    }
  }

  /** One that is there from an earlier run is as good as a new one. */
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

  /** Waits only where too many are under way. */
  async #send(entry: Entry, operation: Operation): Promise<void> {
    const sent = this.#guest.call(operation).then(
      () => this.#onPiece(),
      (error: unknown) => {
        throw error instanceof OperationError ? guestError(entry, error) : error;
      },
    );
    // It is looked at in its turn.
    sent.catch(() => {});
    this.#underWay.push(sent);
    if (this.#underWay.length > WINDOW) await this.#underWay.shift();
  }
}

function guestError(entry: Entry, error: OperationError): Error {
  const code = Object.entries(os.errno).find(([, number]) => number === error.errno)?.[0];
  return includeError(entry, error.message, code, error);
}
