/** A state that a directory keeps. */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  fsyncSync,
  lchownSync,
  mkdirSync,
  openSync,
  renameSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { isBound } from '../../sandbox/devices/overlay-bound.js';
import type { KeptOverlay } from '../../sandbox/devices/overlay-directory.js';
import { type Layer, upperLayers } from '../../sandbox/devices/overlay-layers.js';
import { isSystemError, valueOr } from '../../util/errors.js';
import { type Algorithm, fingerprintOf, isWhiteout } from '../content/fingerprint.js';
import { HostTree } from '../content/host-tree.js';
import { fileLabeller, type LabelFile } from '../store/label-state.js';
import type { ChangeableState, Fresh, OwnEntry, StateTree } from './state.js';

const { O_RDONLY, O_NONBLOCK } = constants;

/**
 * Where no guest writes: what is half copied when a process is killed stays there. It is beside the layers, and below them
 * if they have a file system of their own: a container writes to the layers of its mounts alone.
 */
const DRAFTS = 'upgrade';

export class DirectoryState implements ChangeableState {
  readonly layers: readonly Layer[];
  readonly drafts: string;
  readonly #share: string;
  readonly #label: LabelFile;

  /** @param context SELinux label of what is put there; undefined: as it comes */
  constructor({ directory, layers, kind }: KeptOverlay, context: string | undefined) {
    this.#share = layers;
    this.layers = valueOr(() => upperLayers(layers, kind), []);
    this.drafts = join(isBound(directory) ? layers : directory, DRAFTS);
    this.#label = context === undefined ? () => {} : fileLabeller(context);
  }

  open(layer: Layer): StateTree {
    return new DirectoryTree(this.#share, layer.way);
  }

  async remove(layer: Layer, names: readonly string[]): Promise<void> {
    this.#at(layer, names, (path) => {
      try {
        unlinkSync(path);
      } catch (error) {
        if (!isSystemError(error, 'ENOENT')) throw error;
      }
    });
  }

  async put(layer: Layer, names: readonly string[], { uid, gid, mode, content }: Fresh): Promise<void> {
    const own = join(this.drafts, randomBytes(8).toString('hex'));
    if (content.type === 'directory') mkdirSync(own, { mode: 0o700 });
    else if (content.type === 'link') symlinkSync(content.target, own);
    const draft = content.type === 'file' ? content.path : own;
    lchownSync(draft, uid, gid);
    this.#label(Buffer.from(draft));
    if (content.type !== 'link') {
      chmodSync(draft, mode);
      flush(draft);
    }
    this.#at(layer, names, (path) => renameSync(draft, path));
  }

  /** Nothing is done where the directory above is gone. */
  #at(layer: Layer, names: readonly string[], act: (path: Buffer) => void): void {
    const tree = new HostTree(this.#share, layer.way);
    try {
      if (!names.slice(0, -1).every((name) => tree.enter(name))) return;
      act(tree.call(names.at(-1)));
      flush(tree.call());
    } finally {
      tree.close();
    }
  }
}

function flush(path: string | Buffer): void {
  const fd = openSync(path, O_RDONLY | O_NONBLOCK);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

class DirectoryTree implements StateTree {
  readonly #tree: HostTree;

  constructor(share: string, way: readonly string[]) {
    this.#tree = new HostTree(share, way);
  }

  get depth(): number {
    return this.#tree.depth;
  }

  pathOf(name: string): string {
    return this.#tree.pathOf(name);
  }

  names(): Iterable<string> {
    return this.#tree.eachName();
  }

  look(name: string): OwnEntry | undefined {
    const found = this.#tree.look(name);
    if (found === undefined) return undefined;
    const kind = found.isDirectory() ? 'directory' : isWhiteout(found) ? 'whiteout' : 'other';
    return { kind, mode: found.mode, uid: found.uid, gid: found.gid };
  }

  enter(name: string): boolean {
    return this.#tree.enter(name);
  }

  leave(): void {
    this.#tree.leave();
  }

  async fingerprint(name: string, algorithm: Algorithm): Promise<string> {
    return fingerprintOf(this.#tree, name, algorithm);
  }

  close(): void {
    this.#tree.close();
  }
}
