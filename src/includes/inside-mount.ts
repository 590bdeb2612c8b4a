/**
 * Where includes go inside, past links that an image or an earlier run has left: the guest follows links with the rights
 * of its init, which in a container is root of the host. So the way of each is found here, part by part, and no link
 * leads it out of the file system that it is for. In the root, links that the root has itself are followed; in other
 * mounts, none are.
 */
import { constants } from 'node:fs';
import { posix } from 'node:path';
import { attempt } from '../../init/common/attempt.js';
import { covers, normalizePath } from '../config/path.js';
import type { Guest } from '../protocol/operations.js';
import type { Entry } from './entry.js';
import { includeError, throughLinkError } from './errors.js';

/** Something that is mounted, besides the root. */
export interface MountInside {
  /** Where it was asked for. */
  readonly target: string;
  /** Where it is; undefined: where the target leads. It has no links, and nor has `source` then. */
  readonly at?: string | undefined;
  /** Of a second path, the first. */
  readonly source?: string | undefined;
}

export interface LinkRules {
  /** In the order in which they were made. */
  readonly mounts: readonly MountInside[];
  /** Whether the root has that link itself; undefined: it has all that are in it. The path has no link above it. */
  readonly isOwn: ((path: string, leadsTo: string) => boolean) | undefined;
}

/** The kernel follows no more. */
const MOST_LINKS = 40;

const ROOT = '/';
/** The index of the root, which is not among the mounts. */
const IN_ROOT = -1;

/** A mount, by the path that it was asked for, and by the one without links, as its source. */
interface Point {
  readonly target: string;
  readonly at: string;
  readonly source?: string | undefined;
}

/** What a path without links means. */
interface Origin {
  /** The index of the mount that has it, and is no second path; -1: the root. */
  readonly mount: number;
  /** The same file by its path there. */
  readonly path: string;
}

/** What is at a path. */
interface Found {
  /** The type of the file, as stat(2) has it. */
  readonly type: number;
  /** Of a link. */
  readonly leadsTo: string | undefined;
}

export class InsideMount {
  readonly #guest: Guest;
  readonly #rules: LinkRules;
  #points: Promise<readonly Point[]> | undefined;
  /** Directories. Nothing takes the place of one meanwhile. */
  readonly #directories = new Set<string>([ROOT]);

  constructor(guest: Guest, rules: LinkRules) {
    this.#guest = guest;
    this.#rules = rules;
  }

  /** Whether a mount is there, which has been made. */
  async isMount(target: string): Promise<boolean> {
    const path = normalizePath(target);
    const points = await this.#mounts();
    return points[deepest(points, (point) => point.target, path)]?.target === path;
  }

  /**
   * The path of an entry, without a link in it. The last part of what is no file and no directory may be one.
   * @throws {SandboxError} `include-through-link`; `include-failed` if something else is in the place of a file
   */
  async pathOf(entry: Pick<Entry, 'kind' | 'source' | 'target'>): Promise<string> {
    const target = normalizePath(entry.target);
    const points = await this.#mounts();
    const index = deepest(points, (point) => point.target, target);
    const mount = points[index] ?? { target: ROOT, at: ROOT };
    const { mount: own } = originIn(points, index, mount.at);
    const isFollowed = entry.kind === 'directory' || entry.kind === 'file';
    const left = partsOf(posix.relative(mount.target, target));
    let at = mount.at;
    let last = mount.target;
    let type: number | undefined;
    for (let links = 0; ; ) {
      const name = left.shift();
      if (name === undefined) break;
      const next = posix.join(at, name);
      const isEnd = left.length === 0;
      const found = name === '..' || (isEnd && !isFollowed) ? undefined : await this.#look(next);
      if (found?.leadsTo === undefined) {
        at = next;
        type = found?.type;
        continue;
      }
      links += 1;
      last = next;
      const origin = originOf(points, next);
      const isOwn = origin.mount === IN_ROOT && (this.#rules.isOwn?.(origin.path, found.leadsTo) ?? true);
      // What it leads to may have been refused.
      if (!isOwn || found.leadsTo === '' || links > MOST_LINKS) throw throughLinkError(entry, next, 'inside');
      left.unshift(...partsOf(found.leadsTo));
      if (found.leadsTo.startsWith('/')) at = ROOT;
    }
    // A mount may have got there over a link, too.
    if (originOf(points, at).mount !== own) throw throughLinkError(entry, last, 'inside');
    if (entry.kind === 'file' && type !== undefined && type !== constants.S_IFREG)
      throw includeError(entry, 'something other than a file is there', 'EEXIST');
    return at;
  }

  #mounts(): Promise<readonly Point[]> {
    this.#points ??= Promise.all(
      this.#rules.mounts.map(async ({ target, at, source }) => ({
        target: normalizePath(target),
        at: at ?? (await this.#realPath(normalizePath(target))),
        source: source === undefined || at !== undefined ? source : await this.#realPath(source),
      })),
    );
    return this.#points;
  }

  /** Where the kernel has mounted something. */
  async #realPath(path: string): Promise<string> {
    const left = partsOf(path);
    let at = ROOT;
    for (let links = 0; links <= MOST_LINKS; ) {
      const name = left.shift();
      if (name === undefined) return at;
      const next = posix.join(at, name);
      const found = name === '..' ? undefined : await this.#look(next);
      if (found?.leadsTo === undefined) {
        at = next;
        continue;
      }
      links += 1;
      left.unshift(...partsOf(found.leadsTo));
      if (found.leadsTo.startsWith('/')) at = ROOT;
    }
    return path;
  }

  /** Undefined: nothing is there. What the last operations have made counts: the guest takes one after the other. */
  async #look(path: string): Promise<Found | undefined> {
    if (this.#directories.has(path)) return { type: constants.S_IFDIR, leadsTo: undefined };
    const found = await attempt(this.#guest, { op: 'stat', path, follow: false });
    if (found === undefined) return undefined;
    const type = found.mode & constants.S_IFMT;
    if (type === constants.S_IFDIR) this.#directories.add(path);
    if (type !== constants.S_IFLNK) return { type, leadsTo: undefined };
    return { type, leadsTo: (await attempt(this.#guest, { op: 'readLink', path })) ?? '' };
  }
}

function originOf(points: readonly Point[], path: string): Origin {
  return originIn(
    points,
    deepest(points, ({ at }) => at, path),
    path,
  );
}

/** @param index of the mount that has the path */
function originIn(points: readonly Point[], index: number, path: string): Origin {
  const found = points[index];
  if (found?.source === undefined) return { mount: index, path };
  // A second path shows what was mounted before it.
  return originOf(points.slice(0, index), posix.join(found.source, posix.relative(found.at, path)));
}

/** The index of the mount that has a path, or {@link IN_ROOT}. Of two at one path the later is on top. */
function deepest(points: readonly Point[], pathOf: (point: Point) => string, path: string): number {
  let best = IN_ROOT;
  let length = -1;
  for (const [index, point] of points.entries()) {
    const at = pathOf(point);
    if (at.length < length || !covers(at, path)) continue;
    best = index;
    length = at.length;
  }
  return best;
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
