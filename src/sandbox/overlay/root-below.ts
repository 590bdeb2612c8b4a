/**
 * The root below an overlay as the sandbox has seen it: on the host, without what it never saw. Names are bytes, one a
 * letter. A guest says which directories are looked into.
 */
import { type BigIntStats, fstatSync } from 'node:fs';
import { isSystemError } from '../../util/errors.js';
import { Descent } from '../files/tree/descent.js';
import { type Entry, type LowerLayer, type Redirect, UNKNOWN } from './layer.js';
import { enters, namesIn, statOf, targetOf } from './lower.js';
import type { Reader } from './recorded.js';

export interface RootBelow {
  /** The directory on the host. */
  readonly path: string;
  /** What the sandbox sees empty, as paths from there: `/root/.ssh`. */
  readonly hidden: ReadonlySet<string>;
  /** Mounts that are not even looked at: to ask may mount something, or take for ever. */
  readonly foreign: ReadonlySet<string>;
  /** With whose rights the sandbox reads it; undefined: with those of this process. */
  readonly reader?: Reader | undefined;
}

/** Errors of what is there, but not for this process, or not now. */
const CLOSED = 'EACCES EPERM EIO ENODEV ENOTCONN ENXIO EHOSTDOWN EHOSTUNREACH ESTALE ETIMEDOUT EUCLEAN'.split(' ');

/** The result of `read`, or `otherwise` if it is closed. */
function unlessClosed<T, U>(read: () => T, otherwise: U): T | U {
  try {
    return read();
  } catch (error) {
    if (CLOSED.some((code) => isSystemError(error, code))) return otherwise;
    throw error;
  }
}

/** The way down. Directories that the sandbox could not look into cannot be entered. */
export class Lower implements LowerLayer {
  readonly #descent: Descent;
  readonly #root: RootBelow;
  /** Where the overlay is. */
  readonly #start: readonly string[];
  /** From the root to the directory that was entered last. */
  readonly #way: string[];

  private constructor(descent: Descent, root: RootBelow, start: readonly string[], way: readonly string[]) {
    this.#descent = descent;
    this.#root = root;
    this.#start = start;
    this.#way = [...way];
  }

  /**
   * @param start names from the root to where the overlay is
   * @returns undefined: there is no such directory below the root
   * @throws a system error of the root itself
   */
  static open(root: RootBelow, start: readonly string[] = []): Lower | undefined {
    const lower = new Lower(new Descent(root.path), root, start, []);
    // What is on the way may have the mount without being seen itself: /run.
    const reached = lower.#reach(start, (path) => root.foreign.has(path));
    if (reached === undefined || !root.hidden.has(lower.#pathOf())) return reached;
    lower.close();
    return undefined;
  }

  stat(name: string): Entry | typeof UNKNOWN | undefined {
    if (this.#root.foreign.has(this.#pathOf(name))) return UNKNOWN;
    return unlessClosed(() => statOf(this.#descent, bytes(name)), UNKNOWN);
  }

  target(name: string): string | undefined {
    return unlessClosed(() => targetOf(this.#descent, bytes(name)), undefined);
  }

  names(): string[] {
    return unlessClosed(() => namesIn(this.#descent), []);
  }

  enter(name: string): boolean {
    return this.#enter(name, (path) => this.#root.hidden.has(path) || this.#root.foreign.has(path));
  }

  leave(): void {
    this.#descent.leave();
    this.#way.pop();
  }

  /**
   * The directory that a redirect names: from the top of the overlay, or beside this one. A guest has written it, so no
   * link is followed, and nothing above is reached.
   * @returns for the caller to close; undefined: there is no such directory
   */
  redirected(redirect: Redirect): Lower | undefined {
    const lower = redirect.isAbsolute ? Lower.open(this.#root, this.#start) : this.#again();
    return lower === undefined ? undefined : lower.#reach(redirect.names);
  }

  close(): void {
    this.#descent.close();
  }

  #again(): Lower {
    return new Lower(new Descent(`/proc/self/fd/${this.#descent.fd}`), this.#root, this.#start, this.#way);
  }

  /** @returns undefined: there is no such directory, and this is closed */
  #reach(names: readonly string[], isShut?: (path: string) => boolean): this | undefined {
    let isReached = false;
    try {
      isReached = names.every((name) => (isShut ? this.#enter(name, isShut) : this.enter(name)));
    } finally {
      if (!isReached) this.close();
    }
    return isReached ? this : undefined;
  }

  #enter(name: string, isShut: (path: string) => boolean): boolean {
    if (isShut(this.#pathOf(name)) || !unlessClosed(() => enters(this.#descent, bytes(name)), false)) return false;
    this.#way.push(name);
    const { reader } = this.#root;
    if (reader === undefined || mayRead(fstatSync(this.#descent.fd, { bigint: true }), reader)) return true;
    this.leave();
    return false;
  }

  #pathOf(...below: readonly string[]): string {
    return `/${[...this.#way, ...below].join('/')}`;
  }
}

/** Whether a directory may be listed and entered. Access control lists are not looked at. */
function mayRead({ mode, uid, gid }: BigIntStats, reader: Reader): boolean {
  const isGroup = reader.gids.some((each) => BigInt(each) === gid);
  const shift = reader.uid !== undefined && BigInt(reader.uid) === uid ? 6n : isGroup ? 3n : 0n;
  return ((mode >> shift) & 5n) === 5n;
}

/** Undefined: the kernel would not follow it. */
export function parseRedirect(redirect: Buffer): Redirect | undefined {
  const text = redirect.toString('latin1');
  const isAbsolute = text.startsWith('/');
  const names = text.slice(isAbsolute ? 1 : 0).split('/');
  const isOdd = names.some((name) => /^\.{0,2}$|\0/.test(name));
  return isOdd || (!isAbsolute && names.length > 1) ? undefined : { isAbsolute, names };
}

function bytes(name: string): Buffer {
  return Buffer.from(name, 'latin1');
}
