/**
 * Merges layers into one tree, entry by entry: OCI image specification, layer.md. What survives of each layer is known
 * at the end. Nothing here touches the host's file system.
 */
import { attributeUnits, KINDS } from '../erofs/format.js';
import { MOST_PATH_BYTES, MOST_STEPS } from '../limits.js';
import type { TarEntry } from '../tar/reader.js';
import { Budget, type MergeLimits } from './budget.js';
import { Columns } from './columns.js';
import { EntryError } from './errors.js';
import { meaningOf, partsOf, WHITEOUT } from './names.js';
import { IMPLIED, type Node, Tree } from './tree.js';
import { keptXattrs } from './xattrs.js';

/** As the kernel has it. */
const MOST_LINKS = 40;
/** Files of a layer that AUFS keeps for itself, and bytes of their paths. */
const MOST_HIDDEN = 100_000;
const MOST_HIDDEN_BYTES = 16 << 20;

export class Merge {
  readonly tree = new Tree();
  /** What is no directory, in the order of layers and entries. One may have several names. */
  readonly inodes = new Columns({
    /** From 1 on. */
    layer: new Uint16Array(0),
    /** Which entry of the layer, from 0 on. */
    entry: new Uint32Array(0),
    /** Where in the texts a symbolic link leads to. */
    target: new Uint32Array(0),
    targetLength: new Uint16Array(0),
    /** Bytes of content; of a symbolic link, those of where it leads. */
    size: new Float64Array(0),
    /** What attributeUnits says of its attributes. */
    xattrs: new Uint16Array(0),
    /** The number of its kind in EROFS. */
    kind: new Uint8Array(0),
  });
  readonly #budget: Budget;
  #layer = 0;
  /** Which entry of the layer comes next. */
  #entry = 0;
  /** Inodes of the layer that have no name yet. */
  readonly #hidden = new Map<string, number>();
  #hiddenBytes = 0;

  /** @param most default: limits.ts */
  constructor(most: Partial<MergeLimits> = {}) {
    this.#budget = new Budget(this.tree, most);
  }

  /** @param which names the layer, for errors */
  beginLayer(which: string): void {
    this.#layer += 1;
    this.#entry = 0;
    this.#hidden.clear();
    this.#hiddenBytes = 0;
    this.#budget.beginLayer(which);
  }

  /**
   * @throws {EntryError} the entry cannot be there
   * @throws {SandboxError} `layer-too-large`
   */
  apply(entry: TarEntry): void {
    const ordinal = this.#entry;
    this.#entry += 1;
    this.#budget.count(entry);
    const meaning = meaningOf(entry.name);
    switch (meaning.kind) {
      case 'hidden':
        // Old layers have the contents of hard links there.
        if (entry.type === 'file') this.#hide(meaning.path, this.#newInode(entry, ordinal));
        return;
      case 'root':
        if (entry.type !== 'directory') throw new EntryError('is the root, and no directory');
        this.#setDirectory(this.tree.root, entry);
        return;
      case 'opaque':
        this.#hideLower(this.#find(meaning.directory));
        return;
      case 'whiteout': {
        const directory = this.#find(meaning.directory);
        const node = directory === 0 ? 0 : this.tree.child(directory, meaning.base);
        if (node !== 0) this.#removeLower(node);
        return;
      }
      case 'entry':
        this.#put(meaning.directory, meaning.base, entry, ordinal);
    }
  }

  #hide(path: string, inode: number): void {
    this.#hidden.set(path, inode);
    this.#hiddenBytes += path.length;
    if (this.#hidden.size > MOST_HIDDEN || this.#hiddenBytes > MOST_HIDDEN_BYTES)
      throw this.#budget.tooMuch(`more than ${MOST_HIDDEN} files or ${MOST_HIDDEN_BYTES} bytes of names of AUFS`);
  }

  #put(directory: readonly string[], base: string, entry: TarEntry, ordinal: number): void {
    const { tree } = this;
    const linked = entry.type === 'link' ? this.#linked(entry.link) : 0;
    const parent = this.#make(directory);
    const old = tree.child(parent, base);
    if (entry.type === 'directory') {
      const isNew = old === 0 || !tree.isDirectory(old);
      if (isNew && old !== 0) tree.remove(old);
      this.#setDirectory(isNew ? tree.add(parent, base, 0, this.#layer) : old, entry);
      return;
    }
    const inode = linked === 0 ? this.#newInode(entry, ordinal) : linked;
    if (old !== 0) tree.remove(old);
    tree.add(parent, base, inode, this.#layer);
  }

  #setDirectory(node: Node, { mode, uid, gid, mtime, xattrs }: TarEntry): void {
    this.tree.setLayer(node, this.#layer);
    this.tree.setAttributes(node, { mode: mode & 0o7777, uid, gid, mtime }, keptXattrs(xattrs));
  }

  #newInode({ type, link, size: bytes, xattrs: own }: TarEntry, ordinal: number): number {
    if (type === 'link' || type === 'directory') throw new Error(`a ${type} gets no inode here`);
    const inode = this.inodes.add();
    const { layer, entry, target, targetLength, size, xattrs, kind } = this.inodes.columns;
    layer[inode] = this.#layer;
    entry[inode] = ordinal;
    kind[inode] = KINDS[type].number;
    xattrs[inode] = own.size === 0 ? 0 : attributeUnits(keptXattrs(own));
    size[inode] = type === 'symlink' ? link.length : bytes;
    if (type !== 'symlink') return inode;
    if (link === '' || link.length > MOST_PATH_BYTES || link.includes('\0')) throw new EntryError('links to nothing');
    target[inode] = this.tree.texts.add(link);
    targetLength[inode] = link.length;
    return inode;
  }

  /** The inode that a hard link is one more name of, also if a lower layer has it. */
  #linked(path: string): number {
    const parts = partsOf(path);
    const hidden = this.#hidden.get(parts.join('/'));
    if (hidden !== undefined) return hidden;
    const base = parts.pop();
    const directory = base === undefined ? 0 : this.#find(parts);
    const node = base === undefined || directory === 0 ? 0 : this.tree.child(directory, base);
    if (node === 0) throw new EntryError('is a hard link to what is not there');
    if (this.tree.isDirectory(node)) throw new EntryError('is a hard link to a directory');
    return this.tree.inode(node);
  }

  /** What a path leads to at last, over symbolic links: an inode; 0 for a directory, and for nothing. */
  resolve(path: string): number {
    try {
      return this.#resolve(path);
    } catch (error) {
      // Links that lead to each other, or too far, lead to nothing.
      if (error instanceof EntryError) return 0;
      throw error;
    }
  }

  #resolve(path: string): number {
    let parts = partsOf(path);
    for (let links = 0; links <= MOST_LINKS; links += 1) {
      const base = parts.at(-1);
      const directory = this.#find(parts.slice(0, -1));
      const node = base === undefined || directory === 0 ? 0 : this.tree.child(directory, base);
      const inode = node === 0 ? 0 : this.tree.inode(node);
      const target = this.#target(inode);
      if (target === undefined) return inode;
      // From the directory that the link is in.
      const from = target.startsWith('/') ? [] : this.tree.path(directory).split('/');
      parts = normalized([...from, ...target.split('/')]);
    }
    return 0;
  }

  /** A directory by its path, over symbolic links; 0 if there is none. */
  #find(parts: readonly string[]): Node {
    return this.#walk(parts, (_parent, _name) => 0);
  }

  /** The same, but missing directories are made. */
  #make(parts: readonly string[]): Node {
    const node = this.#walk(parts, (parent, name) => {
      // A link may lead to such a name, and then no layer could remove it.
      if (name.startsWith(WHITEOUT)) throw new EntryError('is below a whiteout');
      this.#budget.countName();
      return this.tree.add(parent, name, 0, this.#layer);
    });
    if (node === 0) throw new EntryError('is below something that is no directory');
    return node;
  }

  /** @param missing makes a directory; 0: ends the walk */
  #walk(parts: readonly string[], missing: (parent: Node, name: string) => Node): Node {
    const { tree } = this;
    const left = [...parts].reverse();
    let at = tree.root;
    let links = 0;
    let steps = 0;
    for (let part = left.pop(); part !== undefined; part = left.pop()) {
      steps += 1;
      this.#budget.countSteps(1);
      if (steps > MOST_STEPS) throw new EntryError(`is more than ${MOST_STEPS} directories away`);
      if (part === '..') {
        at = at === tree.root ? at : tree.parent(at);
        continue;
      }
      const next = tree.child(at, part) || missing(at, part);
      if (next === 0) return 0;
      if (tree.isDirectory(next)) {
        at = next;
        continue;
      }
      const target = this.#target(tree.inode(next));
      if (target === undefined) return 0;
      links += 1;
      if (links > MOST_LINKS) throw new EntryError('is below symbolic links that lead to each other');
      if (target.startsWith('/')) at = tree.root;
      const pieces = target.split('/');
      // Those that lead nowhere take time as well.
      steps += pieces.length;
      this.#budget.countSteps(pieces.length);
      // The root's own links are followed in the root.
      left.push(...pieces.filter((piece) => piece !== '' && piece !== '.').reverse());
    }
    return at;
  }

  #target(inode: number): string | undefined {
    const { target, targetLength } = this.inodes.columns;
    const length = targetLength[inode] ?? 0;
    return length === 0 ? undefined : this.tree.texts.get(target[inode] ?? 0, length);
  }

  /** Removes what lower layers have in a directory, and nothing of this one, wherever in the layer it stands. */
  #hideLower(directory: Node): void {
    // A second time there is nothing left to remove.
    if (directory === 0 || this.tree.opaqueSince(directory) === this.#layer) return;
    for (const child of this.tree.children(directory)) this.#removeLower(child);
    this.tree.setOpaque(directory, this.#layer);
  }

  #removeLower(node: Node): void {
    const { tree } = this;
    if (!tree.isDirectory(node)) {
      if (tree.layer(node) < this.#layer) tree.remove(node);
      return;
    }
    this.#hideLower(node);
    if (tree.layer(node) === this.#layer) return;
    if (!tree.hasChildren(node)) {
      tree.remove(node);
      return;
    }
    // This layer has something in it, but not itself.
    tree.setLayer(node, this.#layer);
    tree.setAttributes(node, IMPLIED, undefined);
  }
}

/** Without `.` and empty parts, and each `..` with the part before it. The root is above itself. */
function normalized(parts: readonly string[]): string[] {
  const left: string[] = [];
  for (const part of parts) {
    if (part === '..') left.pop();
    else if (part !== '' && part !== '.') left.push(part);
  }
  return left;
}
