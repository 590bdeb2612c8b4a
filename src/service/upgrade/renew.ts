/** Gives a service what its host has now, in the place of copies that it has never changed. It does not run. */

import { randomBytes } from 'node:crypto';
import { chmodSync, lchownSync, mkdirSync, readlinkSync, renameSync, rmSync, symlinkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { quote } from '../../config/errors.js';
import type { Layer } from '../../sandbox/devices/overlay-layers.js';
import { isSystemError, messageOf, SandboxError } from '../../util/errors.js';
import { accessListReader, modeWithout } from '../content/access-list.js';
import { copyContent } from '../content/copy-file.js';
import { ABSENT } from '../content/fingerprint.js';
import { above, HostTree } from '../content/host-tree.js';
import { serviceError } from '../errors.js';
import { type HiddenFile, layerOf } from './hidden.js';

/** Beside the layers, where no guest writes: what is half copied when a process is killed stays there. */
const DRAFTS = 'upgrade';
const PERMISSIONS = 0o7777n;

/** The overlay of a service that does not run. */
export interface Overlay {
  readonly directory: string;
  readonly layers: string;
  readonly all: readonly Layer[];
  /** A directory of this host. */
  readonly root: string;
}

/**
 * Removes copies, so that the service sees what the host has; those that were asked for are made anew.
 * @throws {SandboxError} `service-upgrade-failed`
 */
export async function dropCopies(overlay: Overlay, files: readonly HiddenFile[]): Promise<void> {
  const drafts = join(overlay.directory, DRAFTS);
  rmSync(drafts, { recursive: true, force: true });
  try {
    mkdirSync(drafts, { mode: 0o700 });
    for (const file of files) await dropOne(overlay, file, join(drafts, randomBytes(8).toString('hex')));
  } finally {
    rmSync(drafts, { recursive: true, force: true });
  }
}

async function dropOne(overlay: Overlay, file: HiddenFile, draft: string): Promise<void> {
  const { path, isCopied, now } = file;
  const layer = layerOf(overlay.all, path);
  if (layer === undefined) return;
  const names = path.slice(layer.mount.length).split('/').slice(1);
  const last = names.pop() ?? '';
  try {
    const tree = new HostTree(overlay.layers, layer.way);
    try {
      // It was there a moment ago.
      if (!names.every((name) => tree.enter(name))) return;
      if (tree.look(last)?.isDirectory()) return;
      if (!isCopied || now === ABSENT) removeAt(tree, last);
      else if (await copied(overlay.root, path, draft)) renameSync(draft, tree.call(last));
    } finally {
      tree.close();
    }
  } catch (error) {
    if (error instanceof SandboxError) throw error;
    throw serviceError(
      'service-upgrade-failed',
      `${quote(path)} of the service cannot be replaced by what the host has: ${messageOf(error)}`,
      'remove the cause, and upgrade it again: the rest is done then',
      error,
    );
  }
}

function removeAt(tree: HostTree, name: string): void {
  try {
    unlinkSync(tree.call(name));
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
  }
}

/** Copies the host's file to a path. @returns false: there is none any more */
async function copied(root: string, path: string, draft: string): Promise<boolean> {
  const made = await above(
    root,
    path,
    () => {},
    async (tree, name) => {
      const found = tree.look(name);
      if (found?.isSymbolicLink()) {
        symlinkSync(readlinkSync(tree.call(name), { encoding: 'buffer' }), draft);
        lchownSync(draft, Number(found.uid), Number(found.gid));
        return true;
      }
      const copy = await copyContent(tree.call(name), Buffer.from(draft), {
        check: () => {},
        listOf: accessListReader(),
      });
      if (copy === undefined) return false;
      lchownSync(draft, Number(copy.found.uid), Number(copy.found.gid));
      chmodSync(draft, modeWithout(Number(copy.found.mode & PERMISSIONS), copy.list));
      return true;
    },
  );
  return made ?? false;
}
