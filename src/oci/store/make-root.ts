/** Makes file systems of layers. It is apart from roots.ts because what merges layers takes a while to load. */
import { lstatSync } from 'node:fs';
import { chmod, open, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { digestFile } from '../../image/store/copy.js';
import { syncToDisk } from '../../image/store/sync.js';
import { withWorkspace } from '../../image/store/workspace.js';
import type { Digest } from '../../oci-names/digest.js';
import { isSystemError } from '../../util/errors.js';
import { replaceFile } from '../../util/replace-file.js';
import { createContentFile } from '../../util/selinux.js';
import { throwIfAborted } from '../cancel.js';
import { writeErofs } from '../layers/erofs-image.js';
import { planErofs, sizeOf } from '../layers/erofs-plan.js';
import { indexLayers } from '../layers/index-layers.js';
import type { StoredLayer } from '../layers/layer-stream.js';
import type { Merge } from '../layers/merge.js';
import { withLock } from '../lock.js';
import type { OnPullProgress } from '../progress.js';
import { refuseWithoutRoom } from '../room.js';
import {
  EROFS,
  KEPT_FILES,
  type KeptFile,
  type LeasedRoot,
  MOST_KEPT,
  RECORD,
  ROOT_FORMAT,
  rootId,
  useRoot,
} from './roots.js';
import { type StorePaths, storeError } from './store-paths.js';
import { sweepPulls } from './workspaces.js';

export interface MakeRootOptions {
  /** The digests of the unpacked layers. */
  readonly diffIds: readonly Digest[];
  /** The layers, as soon as each is in the store. */
  readonly layers: () => AsyncIterable<StoredLayer>;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnPullProgress | undefined;
}

/**
 * The file system of layers, and a lease on it; made if the store has none. Of two that want it at once, one makes it.
 * @throws {SandboxError} `layer-invalid`, `layer-too-large`, `digest-wrong`, `disk-full`, `store-not-writable`, `aborted`
 */
export async function makeRoot(paths: StorePaths, options: MakeRootOptions): Promise<LeasedRoot> {
  const { diffIds, signal } = options;
  const id = rootId(diffIds);
  try {
    return await withLock(join(paths.locks, id), 'exclusive', { signal }, async () => {
      const found = await useRoot(paths, id, signal);
      if (found !== undefined) return found;
      await sweepPulls(paths);
      await withWorkspace(paths.roots, async (workspace) => {
        await build(workspace, id, options);
        await publish(paths, workspace, id);
      });
      const made = await useRoot(paths, id, signal);
      if (made === undefined) throw new Error(`the file system ${id} is gone as soon as it is made`);
      return made;
    });
  } catch (error) {
    throw storeError(error, paths.directory);
  }
}

async function build(workspace: string, id: string, options: MakeRootOptions): Promise<void> {
  const { diffIds, layers, signal, onProgress } = options;
  // Nobody else's, also when it is whole: readers.ts.
  await chmod(workspace, 0o700);
  const seen: StoredLayer[] = [];
  const watched = async function* () {
    for await (const layer of layers()) {
      seen.push(layer);
      if (seen.length === diffIds.length) onProgress?.({ phase: 'merging' });
      yield layer;
    }
  };
  const merge = await indexLayers(watched(), signal);
  const plan = await planErofs(merge, signal);
  await refuseWithoutRoom(dirname(workspace), sizeOf(plan));
  onProgress?.({ phase: 'making' });
  const path = join(workspace, EROFS);
  createContentFile(path);
  const kept = new KeptFiles(merge);
  const file = await open(path, 'r+');
  try {
    await writeErofs(file, merge, plan, seen, { uuid: id.slice(0, 32), signal, taps: kept.taps });
    await file.chmod(0o444);
    throwIfAborted(signal);
    // Before it is closed: who opens a file later need not learn that it could not be written to the disk.
    await file.sync();
  } catch (error) {
    // The first error says what went wrong.
    await file.close().catch(() => {});
    throw error;
  }
  await file.close();
  for (const [name, content] of kept.files())
    await replaceFile(join(workspace, name), content, { mode: 0o444, flush: true });
  const { size } = lstatSync(path);
  const { mode, uid, gid } = merge.tree.attributes(merge.tree.root);
  const top = { mode, uid, gid };
  const sha256 = await digestOfFile(path, signal);
  const record = { format: ROOT_FORMAT, id, size, sha256, top, diffIds, kept: kept.names };
  await replaceFile(join(workspace, RECORD), `${JSON.stringify(record)}\n`, { mode: 0o444, flush: true });
}

/** Of a file that may have a hundred GiB. @throws {SandboxError} `aborted` */
async function digestOfFile(path: string, signal: AbortSignal | undefined): Promise<string> {
  try {
    return await digestFile(path, signal);
  } catch (error) {
    throwIfAborted(signal);
    throw error;
  }
}

async function publish(paths: StorePaths, workspace: string, id: string): Promise<void> {
  const target = paths.root(id);
  await syncToDisk(workspace);
  // What is there is damaged, or it would have been found.
  await withWorkspace(paths.roots, async (aside) => {
    await rename(target, join(aside, id)).catch((error: unknown) => {
      if (!isSystemError(error, 'ENOENT')) throw error;
    });
    await rename(workspace, target);
  });
  await syncToDisk(paths.roots);
}

/** Files of the image that are read on the host: who its users are. They are taken on their way into the image. */
class KeptFiles {
  readonly #pieces = new Map<KeptFile, Buffer[]>();
  readonly taps = new Map<number, (piece: Buffer) => void>();

  constructor(merge: Merge) {
    for (const name of KEPT_FILES) {
      const inode = merge.resolve(`etc/${name}`);
      if (inode === 0) continue;
      const pieces: Buffer[] = [];
      let length = 0;
      this.#pieces.set(name, pieces);
      const other = this.taps.get(inode);
      this.taps.set(inode, (piece) => {
        // Both may be names of one file.
        other?.(piece);
        length += piece.length;
        if (length <= MOST_KEPT) pieces.push(Buffer.from(piece));
        // Half of one would name other users.
        else pieces.length = 0;
      });
    }
  }

  get names(): readonly KeptFile[] {
    return [...this.#pieces.keys()];
  }

  *files(): Generator<readonly [string, Buffer]> {
    for (const [name, pieces] of this.#pieces) yield [name, Buffer.concat(pieces)];
  }
}
