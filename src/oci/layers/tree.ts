/** The tree of names of an image while its layers are merged. A node takes some sixty bytes, and its name. */
import { randomInt } from 'node:crypto';
import { MOST_PART_BYTES, MOST_PATH_BYTES } from '../limits.js';
import { Columns, Texts } from './columns.js';
import { EntryError } from './errors.js';
import { AttributeSets, type Xattrs } from './xattrs.js';

/** A node's number. 0 is none. */
export type Node = number;

/** What a node has. */
export interface Attributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
}

/** Of directories that no layer has an entry for. Other tools had 0700, 0777 and 0600 here, until users complained. */
export const IMPLIED: Attributes = { mode: 0o755, uid: 0, gid: 0, mtime: 0 };

export class Tree {
  readonly texts = new Texts();
  readonly #nodes = new Columns({
    parent: new Uint32Array(0),
    /** Where the name is in the texts, and its length: at most MOST_PART_BYTES. */
    name: new Uint32Array(0),
    length: new Uint8Array(0),
    /** Bytes of its whole path. */
    pathLength: new Uint16Array(0),
    /** The layer that the node comes from, from 1 on. */
    layer: new Uint16Array(0),
    /** The layer that has hidden what lower ones have in this directory. */
    opaque: new Uint16Array(0),
    /** Of all but directories; 0 is a directory. */
    inode: new Uint32Array(0),
    firstChild: new Uint32Array(0),
    next: new Uint32Array(0),
    previous: new Uint32Array(0),
    /** The next node of the same bucket. */
    chain: new Uint32Array(0),
    mode: new Uint16Array(0),
    uid: new Uint32Array(0),
    gid: new Uint32Array(0),
    mtime: new Float64Array(0),
    /** Extended attributes, of directories only. */
    xattrs: new Uint32Array(0),
  });
  readonly #attributeSets = new AttributeSets();
  /** The first node of each bucket. Its length is a power of two. */
  #buckets = new Uint32Array(1 << 12);
  #count = 0;
  #free: Node = 0;
  #pathBytes = 0;
  /** An image cannot have names that all come into one bucket. */
  readonly #seed = randomInt(2 ** 32);
  readonly root: Node;

  constructor() {
    this.root = this.#nodes.add();
    this.setAttributes(this.root, IMPLIED, undefined);
  }

  get #columns() {
    return this.#nodes.columns;
  }

  child(parent: Node, name: string): Node {
    const { chain, parent: parents, name: names, length } = this.#columns;
    let node = this.#buckets[this.#bucket(parent, name)] ?? 0;
    while (node !== 0) {
      if (parents[node] === parent && this.texts.equals(names[node] ?? 0, length[node] ?? 0, name)) return node;
      node = chain[node] ?? 0;
    }
    return 0;
  }

  /**
   * @param inode 0 for a directory
   * @throws {EntryError} its name or its path is too long, which those over symbolic links may become
   */
  add(parent: Node, name: string, inode: number, layer: number): Node {
    // A longer one would be kept as another name, and not be found again.
    if (name.length > MOST_PART_BYTES) throw new EntryError(`has a name of more than ${MOST_PART_BYTES} bytes`);
    const pathLength = (this.#columns.pathLength[parent] ?? 0) + 1 + name.length;
    if (pathLength > MOST_PATH_BYTES) throw new EntryError(`has a path of more than ${MOST_PATH_BYTES} bytes`);
    const node = this.#free === 0 ? this.#nodes.add() : this.#free;
    const columns = this.#columns;
    if (node === this.#free) this.#free = columns.next[node] ?? 0;
    columns.parent[node] = parent;
    columns.name[node] = this.texts.add(name);
    columns.length[node] = name.length;
    columns.pathLength[node] = pathLength;
    this.#pathBytes += pathLength;
    columns.layer[node] = layer;
    columns.opaque[node] = 0;
    columns.inode[node] = inode;
    columns.firstChild[node] = 0;
    const first = columns.firstChild[parent] ?? 0;
    columns.next[node] = first;
    columns.previous[node] = 0;
    if (first !== 0) columns.previous[first] = node;
    columns.firstChild[parent] = node;
    this.setAttributes(node, IMPLIED, undefined);
    this.#count += 1;
    if (this.#count > this.#buckets.length) this.#rehash();
    else this.#intoBucket(node, name);
    return node;
  }

  /** Removes a node and all below it. */
  remove(node: Node): void {
    const stack = [node];
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      for (const child of this.children(at)) stack.push(child);
      this.#removeOne(at);
    }
  }

  #removeOne(node: Node): void {
    const columns = this.#columns;
    const [next, previous, parent] = [columns.next[node] ?? 0, columns.previous[node] ?? 0, columns.parent[node] ?? 0];
    if (next !== 0) columns.previous[next] = previous;
    if (previous !== 0) columns.next[previous] = next;
    else columns.firstChild[parent] = next;
    const bucket = this.#bucket(parent, this.name(node));
    let before = 0;
    for (let at = this.#buckets[bucket] ?? 0; at !== node; at = columns.chain[at] ?? 0) {
      // Row 0 leads to itself: the search would never end.
      if (at === 0) throw new Error('a node is not in the bucket of its name');
      before = at;
    }
    if (before === 0) this.#buckets[bucket] = columns.chain[node] ?? 0;
    else columns.chain[before] = columns.chain[node] ?? 0;
    columns.next[node] = this.#free;
    this.#free = node;
    this.#count -= 1;
    this.#pathBytes -= columns.pathLength[node] ?? 0;
  }

  /** The number above all nodes. */
  get rows(): number {
    return this.#nodes.rows;
  }

  /** How many names there are; the root has none. */
  get size(): number {
    return this.#count;
  }

  /** Bytes of the whole paths of all that is there. */
  get pathBytes(): number {
    return this.#pathBytes;
  }

  isDirectory(node: Node): boolean {
    return this.#columns.inode[node] === 0;
  }

  inode(node: Node): number {
    return this.#columns.inode[node] ?? 0;
  }

  parent(node: Node): Node {
    return this.#columns.parent[node] ?? 0;
  }

  layer(node: Node): number {
    return this.#columns.layer[node] ?? 0;
  }

  setLayer(node: Node, layer: number): void {
    this.#columns.layer[node] = layer;
  }

  opaqueSince(node: Node): number {
    return this.#columns.opaque[node] ?? 0;
  }

  setOpaque(node: Node, layer: number): void {
    this.#columns.opaque[node] = layer;
  }

  name(node: Node): string {
    const { name, length } = this.#columns;
    return this.texts.get(name[node] ?? 0, length[node] ?? 0);
  }

  /** Its path without a slash at the beginning; that of the root is empty. */
  path(node: Node): string {
    const parts: string[] = [];
    for (let at = node; at !== this.root; at = this.parent(at)) parts.push(this.name(at));
    return parts.reverse().join('/');
  }

  children(node: Node): Node[] {
    const children: Node[] = [];
    const { firstChild, next } = this.#columns;
    for (let at = firstChild[node] ?? 0; at !== 0; at = next[at] ?? 0) children.push(at);
    return children;
  }

  /** In the order of their names' bytes, the last first. */
  childrenFromLast(node: Node): Uint32Array {
    const { name, length } = this.#columns;
    return Uint32Array.from(this.children(node)).sort((a, b) =>
      this.texts.compare(name[b] ?? 0, length[b] ?? 0, name[a] ?? 0, length[a] ?? 0),
    );
  }

  hasChildren(node: Node): boolean {
    return this.#columns.firstChild[node] !== 0;
  }

  attributes(node: Node): Attributes & { readonly xattrs: Xattrs | undefined } {
    const { mode, uid, gid, mtime, xattrs } = this.#columns;
    return {
      mode: mode[node] ?? 0,
      uid: uid[node] ?? 0,
      gid: gid[node] ?? 0,
      mtime: mtime[node] ?? 0,
      xattrs: this.#attributeSets.get(xattrs[node] ?? 0),
    };
  }

  setAttributes(node: Node, attributes: Attributes, own: Xattrs | undefined): void {
    const { mode, uid, gid, mtime, xattrs } = this.#columns;
    mode[node] = attributes.mode;
    uid[node] = attributes.uid;
    gid[node] = attributes.gid;
    mtime[node] = attributes.mtime;
    xattrs[node] = this.#attributeSets.add(own);
  }

  #bucket(parent: Node, name: string): number {
    let hash = Math.imul(parent ^ this.#seed, 0x9e3779b1);
    for (let at = 0; at < name.length; at += 1) {
      hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
      hash ^= hash >>> 15;
    }
    return hash & (this.#buckets.length - 1);
  }

  #intoBucket(node: Node, name: string): void {
    const bucket = this.#bucket(this.parent(node), name);
    this.#columns.chain[node] = this.#buckets[bucket] ?? 0;
    this.#buckets[bucket] = node;
  }

  #rehash(): void {
    this.#buckets = new Uint32Array(2 * this.#buckets.length);
    const stack = [this.root];
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      if (at !== this.root) this.#intoBucket(at, this.name(at));
      for (const child of this.children(at)) stack.push(child);
    }
  }
}
