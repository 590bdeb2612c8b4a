/**
 * Compares what is seen through an overlay with the root below it. Only the directories of the upper layer are looked
 * into: where none is, all is as in the root.
 *
 * A directory of the layer lies over that of the root with its name, over another one, or over none. A whiteout hides a
 * name of the root: https://docs.kernel.org/filesystems/overlayfs.html
 */
import { bytesOf, textOf } from '../../util/raw-text.js';
import {
  costOf,
  type Entry,
  type LowerLayer,
  MOST_DEPTH,
  type Room,
  tooDeep,
  UNKNOWN,
  type UpperLayer,
  WHITEOUT,
} from './layer.js';
import { parseRedirect } from './root-below.js';

/** What has happened to a name of the root: docker's letters. */
export type Kind = 'A' | 'C' | 'D';

export interface Change {
  readonly kind: Kind;
  /** Absolute, as inside; see raw-text.ts. */
  readonly path: string;
}

/** The directories that make one of the sandbox, each entered last. */
interface Place {
  /** What was written there. */
  readonly upper: UpperLayer | undefined;
  /** What of the root is seen in it. */
  readonly origin: LowerLayer | undefined;
  /** What the root has at its path: the same object if that is what is seen. */
  readonly before: LowerLayer | undefined;
}

export interface WalkOptions {
  readonly room: Room;
  /** Whether owners inside are those of the root; default: true. */
  readonly hasOwners?: boolean;
  /** Whether the kernel follows redirects of the layer; default: true. */
  readonly hasRedirects?: boolean;
}

export class Walk {
  readonly #changes: Change[] = [];
  readonly #options: WalkOptions;
  /** What redirects begin in. */
  #lower: LowerLayer | undefined;
  /** Directories with a mount in them that has changes. */
  readonly #above = new Set<string>();

  constructor(options: WalkOptions) {
    this.#options = options;
  }

  /**
   * Compares the whole of a layer with what it lies over.
   * @param lower undefined: it is gone, and counts as empty
   * @param path where it is inside; empty: at the top
   * @throws {SandboxError} `overlay-too-deep`, and that of the room; a system error
   */
  compare(upper: UpperLayer, lower: LowerLayer | undefined, path = ''): void {
    const mark = this.#changes.length;
    this.#lower = lower;
    this.#directory(path, 0, { upper, origin: lower, before: lower });
    if (this.#changes.length > mark) this.#changeAbove(path);
  }

  /** A mount is changed with what is in it, and so is what it is in. */
  #changeAbove(path: string): void {
    for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) this.#above.add(path.slice(0, end));
  }

  /**
   * In the order of their paths, by bytes. Of a path the last comparison counts: a layer may have names from before a mount
   * covered them.
   */
  sorted(): Change[] {
    const changes = new Map(this.#changes.map((change) => [change.path, change]));
    for (const path of this.#above) if (!changes.has(path)) changes.set(path, { kind: 'C', path });
    return [...changes.values()].sort((one, other) => Buffer.compare(bytesOf(one.path), bytesOf(other.path)));
  }

  #directory(path: string, depth: number, place: Place): void {
    if (depth > MOST_DEPTH) throw tooDeep(path);
    const names = this.#names(place);
    for (const name of names) this.#entry(path, name, depth, place);
    for (const name of names) this.#options.room.give(costOf(name));
  }

  /** All that may differ. */
  #names({ upper, origin, before }: Place): ReadonlySet<string> {
    const names = new Set<string>();
    const take = (name: string) => {
      if (names.has(name)) return;
      this.#options.room.take(costOf(name));
      names.add(name);
    };
    upper?.names(take);
    if (origin === before) return names;
    for (const lower of [origin, before]) for (const name of lower?.names() ?? []) take(name);
    return names;
  }

  #entry(directory: string, name: string, depth: number, place: Place): void {
    const path = `${directory}/${textOf(Buffer.from(name, 'latin1'))}`;
    const { upper, origin } = place;
    const before = place.before?.stat(name);
    const written = upper?.look(name);
    const seen = written ?? (origin === place.before ? before : origin?.stat(name));
    if (seen === undefined || seen === WHITEOUT) {
      // The root may have lost it since.
      if (before !== undefined) this.#add('D', path);
    } else if (seen === UNKNOWN) {
      if (before === undefined) this.#add('A', path);
    } else if (isDirectory(seen)) {
      this.#below(path, name, depth, { seen, before, isWritten: written !== undefined }, place);
    } else if (before === undefined) this.#add('A', path);
    else if (!this.#isAlike(seen, before) || !hasSameTarget(seen, name, written !== undefined, place))
      this.#add('C', path);
  }

  #below(
    path: string,
    name: string,
    depth: number,
    { seen, before, isWritten }: { seen: Entry; before: Entry | typeof UNKNOWN | undefined; isWritten: boolean },
    place: Place,
  ): void {
    const mark = this.#changes.length;
    const isMerged = before === UNKNOWN || (before !== undefined && isDirectory(before));
    const upper = isWritten ? place.upper : undefined;
    if (upper && !upper.enter(name)) return;
    const from = upper?.origin() ?? 'same';
    const redirected = typeof from === 'object' ? this.#redirected(from.redirect, place) : undefined;
    try {
      const below = isMerged && place.before?.enter(name) ? place.before : undefined;
      const own = from === 'same' ? this.#same(name, place, below) : undefined;
      this.#directory(path, depth + 1, { upper, origin: redirected ?? own, before: below });
      upper?.leave();
      below?.leave();
      if (own !== below) own?.leave();
    } finally {
      redirected?.close();
    }
    const isAlike = before === UNKNOWN || (before !== undefined && this.#isAlike(seen, before));
    if (before === undefined) this.#add('A', path);
    else if (!isMerged || this.#changes.length > mark || !isAlike) this.#add('C', path);
  }

  /** @returns for the caller to close */
  #redirected(redirect: Buffer, { origin }: Place): LowerLayer | undefined {
    const { hasRedirects = true } = this.#options;
    const parsed = hasRedirects ? parseRedirect(redirect) : undefined;
    return parsed && (parsed.isAbsolute ? this.#lower : origin)?.redirected(parsed);
  }

  /** The directory of that name in what is seen of the root. @param below that of the root, entered */
  #same(name: string, { origin, before }: Place, below: LowerLayer | undefined): LowerLayer | undefined {
    if (origin === before) return below;
    return origin?.enter(name) ? origin : undefined;
  }

  /** Of a directory neither the size nor the time: they change with each name in it. */
  #isAlike(one: Entry, other: Entry | typeof UNKNOWN): boolean {
    // One that is written is another file.
    if (other === UNKNOWN) return false;
    const { hasOwners = true } = this.#options;
    if (one.mode !== other.mode || (hasOwners && (one.uid !== other.uid || one.gid !== other.gid))) return false;
    if (isDirectory(one)) return true;
    const isSameDevice = one.rdev === undefined || one.rdev === other.rdev;
    return one.size === other.size && one.mtimeNs === other.mtimeNs && isSameDevice;
  }

  #add(kind: Kind, path: string): void {
    this.#options.room.take(costOf(path));
    this.#changes.push({ kind, path });
  }
}

const S_IFMT = 0o170000n;
const S_IFDIR = 0o040000n;
const S_IFLNK = 0o120000n;

function isDirectory({ mode }: Entry): boolean {
  return (mode & S_IFMT) === S_IFDIR;
}

function hasSameTarget(seen: Entry, name: string, isWritten: boolean, { upper, origin, before }: Place): boolean {
  if ((seen.mode & S_IFMT) !== S_IFLNK) return true;
  const target = isWritten ? upper?.target(name) : origin?.target(name);
  return target === before?.target(name);
}
