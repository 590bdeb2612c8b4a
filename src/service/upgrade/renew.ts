/** Gives a service what its host has now, in the place of copies that it has never changed. It does not run. */
import { randomBytes } from 'node:crypto';
import { type BigIntStats, closeSync, constants, mkdirSync, openSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { quote } from '../../config/errors.js';
import { type Layer, layerOf } from '../../sandbox/devices/overlay-layers.js';
import { isSystemError, messageOf, SandboxError, valueOr } from '../../util/errors.js';
import { type AccessList, accessListReader, modeWithout } from '../content/access-list.js';
import { copyContent } from '../content/copy-file.js';
import { ABSENT } from '../content/fingerprint.js';
import { above, type HostTree } from '../content/host-tree.js';
import { isFull, serviceError } from '../errors.js';
import { type HiddenFile, lookInLayers } from './hidden.js';
import type { ChangeableState, Fresh } from './state.js';

const PERMISSIONS = 0o7777n;

const UNWRITTEN = 'see whether the disk with the state is full, or has errors; make room there';

/**
 * Removes copies, so that the service sees what the host has; those that were asked for are made anew.
 * @param root a directory of this host
 * @throws {SandboxError} `service-upgrade-failed`
 */
export async function dropCopies(state: ChangeableState, root: string, files: readonly HiddenFile[]): Promise<void> {
  const { drafts } = state;
  const remove = () => changeDrafts(drafts, () => rmSync(drafts, { recursive: true, force: true }));
  // One that was killed may have left them.
  remove();
  // Where nothing is dropped, nothing needs room.
  if (files.length === 0) return;
  changeDrafts(drafts, () => mkdirSync(drafts, { mode: 0o700 }));
  await thenRemove(remove, async () => {
    const renewal = new Renewal(state, root);
    for (const file of files) await renewal.drop(file);
  });
}

function changeDrafts(path: string, change: () => void): void {
  try {
    change();
  } catch (error) {
    throw upgradeFailed(`${quote(path)} for copies of files of the host cannot be made, or removed`, error);
  }
}

/** Why the work has failed counts, and not that a disk which has failed removes nothing. The next upgrade does. */
async function thenRemove(remove: () => void, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    valueOr(remove, undefined);
    throw error;
  }
  remove();
}

/** @param what could not be done */
export function upgradeFailed(what: string, error: unknown): SandboxError {
  const cause = isFull(error) ? 'make room there' : isUnwritten(error) ? UNWRITTEN : 'remove the cause';
  return serviceError(
    'service-upgrade-failed',
    `${what}: ${messageOf(error)}`,
    `${cause}, and upgrade it again: the rest is done then`,
    error,
  );
}

/** A state with a bound has one error for all that goes wrong on the disk, and is read-only afterwards. */
function isUnwritten(error: unknown): boolean {
  return ['EIO', 'EROFS'].some((code) => isSystemError(error, code));
}

class Renewal {
  readonly #state: ChangeableState;
  readonly #root: string;
  readonly #listOf = accessListReader();
  /** Directories that were made. */
  readonly #made = new Set<string>();

  constructor(state: ChangeableState, root: string) {
    this.#state = state;
    this.#root = root;
  }

  async drop(file: HiddenFile): Promise<void> {
    const { path, isCopied, now } = file;
    const layer = layerOf(this.#state.layers, path);
    if (layer === undefined) return;
    try {
      if (!isCopied || now === ABSENT) await this.#state.remove(layer, namesIn(layer, path));
      else if (await this.#makeAbove(layer, path)) await this.#put(layer, path);
    } catch (error) {
      if (error instanceof SandboxError && error.stage === 'service') throw error;
      throw upgradeFailed(`${quote(path)} of the service cannot be replaced by what the host has`, error);
    }
  }

  /** Makes directories of the host above a path that the service does not have. @returns false: it cannot have them */
  async #makeAbove(layer: Layer, path: string): Promise<boolean> {
    const missing = lookInLayers(this.#state, path).missing?.filter((directory) => !this.#made.has(directory));
    if (missing === undefined) return false;
    for (const directory of missing) {
      if (!(await this.#put(layer, directory))) return false;
      this.#made.add(directory);
    }
    return true;
  }

  /** @returns false: the host has it no more */
  async #put(layer: Layer, path: string): Promise<boolean> {
    const fresh = await above(
      this.#root,
      path,
      () => {},
      async (tree, name) => this.#copyOf(tree, name),
    );
    if (fresh === undefined) return false;
    const put = () => this.#state.put(layer, namesIn(layer, path), fresh);
    // All copies together may be more than there is room for.
    const { content } = fresh;
    await (content.type === 'file' ? thenRemove(() => rmSync(content.path, { force: true }), put) : put());
    return true;
  }

  async #copyOf(tree: HostTree, name: string): Promise<Fresh | undefined> {
    const found = tree.look(name);
    if (found === undefined) return undefined;
    const from = tree.call(name);
    if (found.isSymbolicLink()) {
      const target = readlinkSync(from, { encoding: 'buffer' });
      return { ...freshOf(found, undefined), content: { type: 'link', target } };
    }
    if (found.isDirectory()) {
      if (!tree.enter(name)) return undefined;
      const list = withDirectory(tree.call(), this.#listOf);
      return { ...freshOf(tree.own, list), content: { type: 'directory' } };
    }
    const path = join(this.#state.drafts, randomBytes(8).toString('hex'));
    const copy = await copyContent(from, Buffer.from(path), { check: () => {}, listOf: this.#listOf });
    return copy && { ...freshOf(copy.found, copy.list), content: { type: 'file', path } };
  }
}

/** The names of a path from the top of its layer on. */
function namesIn({ mount }: Layer, path: string): string[] {
  return path.slice(mount.length).split('/').slice(1);
}

function freshOf({ uid, gid, mode }: BigIntStats, list: AccessList | undefined): Omit<Fresh, 'content'> {
  return { uid: Number(uid), gid: Number(gid), mode: modeWithout(Number(mode & PERMISSIONS), list) };
}

function withDirectory<T>(path: Buffer, work: (fd: number) => T): T {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return work(fd);
  } finally {
    closeSync(fd);
  }
}
