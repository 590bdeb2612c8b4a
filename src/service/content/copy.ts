/**
 * Copies files of the root into the state of a service. What a copy has in common with what it was made of: owners, mode,
 * time of last change, symbolic and hard links. Sockets, pipes and devices are left out.
 */
import {
  type BigIntStats,
  chmodSync,
  closeSync,
  constants,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname } from 'node:path';
import { quote } from '../../config/errors.js';
import { covers } from '../../config/path.js';
import { opaqueMaker } from '../../sandbox/devices/overlay-attributes.js';
import { unlessGone } from '../../sandbox/overlay/lower.js';
import { messageOf, SandboxError } from '../../util/errors.js';
import { bytesOf } from '../../util/raw-text.js';
import { shortageOf } from '../../util/shortage.js';
import { serviceError } from '../errors.js';
import { type AccessList, accessListReader, modeWithout } from './access-list.js';
import type { Source } from './closed.js';
import { copyContent } from './copy-file.js';
import { above, type HostTree } from './host-tree.js';
import type { Layers } from './layers.js';

const { O_RDONLY, O_DIRECTORY } = constants;
const PERMISSIONS = 0o7777;
/** What the host has logged is not the service's. */
export const LOGS = '/var/log';

/** How far it is. */
export interface CopyProgress {
  readonly files: number;
  readonly bytes: number;
}

/** What is to be copied. */
export interface Wish {
  /** In the root, and with all that is in it. */
  readonly path: string;
  /** Whether files below /var/log are made empty. */
  readonly withoutLogs: boolean;
}

export class Copier {
  readonly #source: Source;
  readonly #layers: Layers;
  readonly #onProgress: (progress: CopyProgress) => void;
  readonly #makeOpaque;
  readonly #listOf = accessListReader();
  /** Directories that were made, by their paths in the root. */
  readonly #directories = new Map<string, { readonly place: Buffer; readonly found: BigIntStats }>();
  /** What is copied, of what is no directory: a wish may lie in another one. */
  readonly #done = new Set<string>();
  /** Copies of files with several names. */
  readonly #links = new Map<string, Buffer>();
  /** Paths of files that were written to while they were copied. */
  readonly unsettled: string[] = [];
  #progress: CopyProgress = { files: 0, bytes: 0 };

  constructor(source: Source, layers: Layers, onProgress: (progress: CopyProgress) => void = () => {}) {
    this.#source = source;
    this.#layers = layers;
    this.#onProgress = onProgress;
    this.#makeOpaque = opaqueMaker(layers.kind);
  }

  /** @throws {SandboxError} `service-copy-failed`, `service-copy-too-deep`, and what the source throws */
  async copy(wishes: readonly Wish[]): Promise<void> {
    for (const wish of wishes) {
      try {
        await above(
          this.#source.root,
          wish.path,
          (tree) => this.#shared(tree),
          (tree, name) => this.#copy(tree, name, wish),
        );
      } catch (error) {
        throw failed(wish.path, error);
      }
    }
    // What is put into a directory changes its time.
    for (const { place, found } of [...this.#directories.values()].reverse()) setTime(place, found);
  }

  /** A directory on the way, of which the rest stays the host's; a closed one has nothing else. */
  #shared(tree: HostTree): void {
    if (!this.#directories.has(tree.path)) this.#directory(tree, !this.#source.rights.mayEnter(tree.own, tree.call()));
  }

  /** Makes the one that was entered last. */
  #directory(tree: HostTree, isOpaque: boolean): void {
    const { path, own } = tree;
    const place = this.#isMount(path) ? this.#pointOf(path) : this.#layers.placeOf(path);
    mkdirSync(place, { mode: 0o700 });
    if (isOpaque) withFile(place, O_DIRECTORY, this.#makeOpaque);
    setOwner(place, own, withFile(tree.call(), O_DIRECTORY, this.#listOf));
    this.#directories.set(path, { place, found: own });
  }

  #isMount(path: string): boolean {
    return this.#layers.mounts.includes(path);
  }

  /** Where a mount is, in the layer of the mount above. */
  #pointOf(path: string): Buffer {
    return Buffer.concat([this.#layers.placeOf(dirname(path)), Buffer.from('/'), bytesOf(basename(path))]);
  }

  async #copy(tree: HostTree, name: string, wish: Wish, isTop = true): Promise<void> {
    this.#source.check();
    const found = tree.look(name);
    if (found === undefined || this.#done.has(tree.pathOf(name))) return;
    if (found.isDirectory()) return this.#tree(tree, name, wish, isTop);
    if (found.isSymbolicLink()) this.#link(tree, name, found);
    else if (found.isFile()) await this.#file(tree, name, found, wish);
    this.#done.add(tree.pathOf(name));
  }

  async #tree(tree: HostTree, name: string, wish: Wish, isTop: boolean): Promise<void> {
    if (!tree.enter(name)) return;
    const { path } = tree;
    const made = this.#directories.get(path);
    if (made === undefined) this.#directory(tree, isTop);
    // It was on the way to another one.
    else if (isTop) withFile(made.place, O_DIRECTORY, this.#makeOpaque);
    // What is mounted there has layers of its own, or is the kernel's.
    const isEmpty = this.#source.foreign.has(path) || this.#isMount(path);
    for (const below of isEmpty ? [] : tree.names()) await this.#copy(tree, below, wish, false);
    tree.leave();
  }

  #link(tree: HostTree, name: string, found: BigIntStats): void {
    const target = unlessGone(() => readlinkSync(tree.call(name), { encoding: 'buffer' }));
    if (target === undefined) return;
    const place = this.#layers.placeOf(tree.pathOf(name));
    symlinkSync(target, place);
    lchownSync(place, Number(found.uid), Number(found.gid));
    setTime(place, found);
  }

  async #file(tree: HostTree, name: string, found: BigIntStats, wish: Wish): Promise<void> {
    const path = tree.pathOf(name);
    const place = this.#layers.placeOf(path);
    const key = `${found.dev}:${found.ino}`;
    const other = found.nlink > 1n ? this.#links.get(key) : undefined;
    if (other !== undefined) {
      linkSync(other, place);
      return;
    }
    const from = tree.call(name);
    if (wish.withoutLogs && covers(LOGS, path)) {
      writeFileSync(place, '', { mode: 0o600, flag: 'wx' });
      setOwner(place, found, undefined);
    } else if (!(await this.#content(from, place, path))) return;
    if (found.nlink > 1n) this.#links.set(key, place);
    this.#progress = { files: this.#progress.files + 1, bytes: this.#progress.bytes + Number(found.size) };
    this.#onProgress(this.#progress);
  }

  /** @returns false: it is gone, or no file any more */
  async #content(from: Buffer, place: Buffer, path: string): Promise<boolean> {
    const copied = await copyContent(from, place, { check: this.#source.check, listOf: this.#listOf });
    if (copied === undefined) return false;
    const { found, list, isUnsettled } = copied;
    if (isUnsettled) this.unsettled.push(path);
    setOwner(place, found, list);
    setTime(place, found);
    return true;
  }
}

function withFile<T>(path: Buffer, flags: number, work: (fd: number) => T): T {
  const fd = openSync(path, O_RDONLY | flags);
  try {
    return work(fd);
  } finally {
    closeSync(fd);
  }
}

/** The mode comes last: a new owner takes set-user-ID bits away. Lists are not kept, and nobody gains by that. */
function setOwner(place: Buffer, { uid, gid, mode }: BigIntStats, list: AccessList | undefined): void {
  lchownSync(place, Number(uid), Number(gid));
  chmodSync(place, modeWithout(Number(mode) & PERMISSIONS, list));
}

function setTime(place: Buffer, { atimeNs, mtimeNs }: BigIntStats): void {
  lutimesSync(place, secondsOf(atimeNs), secondsOf(mtimeNs));
}

/** Node.js cuts seconds to whole microseconds, and takes what is before 1970 for the present. */
function secondsOf(nanoseconds: bigint): number {
  return nanoseconds < 0n ? 0 : Number(nanoseconds / 1000n) / 1e6 + 5e-7;
}

function failed(path: string, error: unknown): unknown {
  if (error instanceof SandboxError) return error;
  return serviceError(
    'service-copy-failed',
    `${quote(path)} cannot be copied into the state of the service: ${messageOf(error)}`,
    shortageOf(error) === 'space'
      ? 'make room there, or name another directory with --path'
      : 'look what is wrong there',
    error,
  );
}
