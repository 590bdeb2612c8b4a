/** The state of a service as it is looked at, and changed, by an upgrade: a directory or an image keeps it. */
import type { BigIntStats } from 'node:fs';
import type { Layer } from '../../sandbox/devices/overlay-layers.js';
import type { Algorithm } from '../content/fingerprint.js';

/** An entry of a layer. */
export interface OwnEntry extends Pick<BigIntStats, 'mode' | 'uid' | 'gid'> {
  /** `whiteout`: a name of the root that the service has removed. */
  readonly kind: 'directory' | 'whiteout' | 'other';
}

/** A directory of a layer, with those above it. Nothing is followed. */
export interface StateTree {
  /** Directories that were entered. */
  readonly depth: number;
  /** The path of an entry of the directory that was entered last, in the layer. */
  pathOf(name: string): string;
  /** In any order. */
  names(): Iterable<string>;
  /** Undefined: nothing is there. */
  look(name: string): OwnEntry | undefined;
  /** @returns false: it is no directory */
  enter(name: string): boolean;
  leave(): void;
  /** As `fingerprintOf`. */
  fingerprint(name: string, algorithm: Algorithm): Promise<string>;
  close(): void;
}

/** What is put into a state. */
export interface Fresh {
  readonly uid: number;
  readonly gid: number;
  /** Permissions; those of a link are nobody's. */
  readonly mode: number;
  readonly content: { readonly type: 'directory' } | { readonly type: 'link'; readonly target: Buffer } | HostCopy;
}

/** A copy of a file of the host. `put` may move it away; what is left of it is removed as soon as it is put. */
export interface HostCopy {
  readonly type: 'file';
  readonly path: string;
}

/** What the service has of its own. */
export interface State {
  readonly layers: readonly Layer[];
  /** @throws the error of a system call: a guest may have put anything in the place of a layer */
  open(layer: Layer): StateTree;
}

/** One that can be changed. What a killed process has begun stays out of the layers. */
export interface ChangeableState extends State {
  /** A directory for copies of files of the host, until the work is done. */
  readonly drafts: string;
  /** Removes a file, if it is there. */
  remove(layer: Layer, names: readonly string[]): Promise<void>;
  /** Puts it there as a whole, in the place of a file. The directory above is there. */
  put(layer: Layer, names: readonly string[], fresh: Fresh): Promise<void>;
}
