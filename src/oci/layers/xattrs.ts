/**
 * Extended attributes of entries: which are kept, how large they may be, and how those of directories are remembered.
 * Names and values are bytes as characters of latin1.
 */
import { MOST_XATTR_BYTES, MOST_XATTR_LIST_BYTES, MOST_XATTR_NAME_BYTES, MOST_XATTR_VALUE_BYTES } from '../limits.js';
import { Texts } from './columns.js';
import { EntryError } from './errors.js';

export type Xattrs = ReadonlyMap<string, string>;

/** What an attribute takes in memory beside its name and its value, about. */
const OVERHEAD = 64;

/**
 * Attributes that mean the same in every image. Those of a host's security module, and of overlayfs, do not: `user.` is
 * where overlayfs has its own with the mount option userxattr.
 */
export function keptXattrs(xattrs: Xattrs): Xattrs {
  if (xattrs.size === 0) return xattrs;
  return new Map([...xattrs].filter(([name]) => isKept(name)));
}

function isKept(name: string): boolean {
  return name === 'security.capability' || (name.startsWith('user.') && !name.startsWith('user.overlay.'));
}

/**
 * Refuses attributes that no file system has. EROFS has one byte for the length of a name, and two for that of a value.
 * @returns bytes of memory that the attributes that are kept take, at most
 * @throws {EntryError}
 */
export function checkXattrs(xattrs: Xattrs): number {
  let all = 0;
  let kept = 0;
  let list = 0;
  for (const [name, value] of xattrs) {
    const bytes = name.length + value.length;
    all += bytes;
    if (isKept(name)) {
      kept += bytes + OVERHEAD;
      list += name.length + 1;
    }
    if (name.length > MOST_XATTR_NAME_BYTES)
      throw new EntryError(`has an attribute with a name of more than ${MOST_XATTR_NAME_BYTES} bytes`);
    if (value.length > MOST_XATTR_VALUE_BYTES)
      throw new EntryError(`has an attribute of more than ${MOST_XATTR_VALUE_BYTES} bytes`);
    if (name === 'user.' || name.includes('\0')) throw new EntryError('has an attribute with a name that is none');
  }
  if (all > MOST_XATTR_BYTES) throw new EntryError(`has more than ${MOST_XATTR_BYTES} bytes of attributes`);
  if (list > MOST_XATTR_LIST_BYTES)
    throw new EntryError(`has more than ${MOST_XATTR_LIST_BYTES} bytes of names of attributes`);
  return kept;
}

/** Digits of the length before a set. */
const DIGITS = 8;

/** Sets of attributes, as texts one after the other: a million of them are no objects. */
export class AttributeSets {
  readonly #texts = new Texts();
  #last = { text: '', set: 0 };

  constructor() {
    // 0 is no set.
    this.#texts.add('\0');
  }

  /** @returns the number of the set; 0 of an empty one */
  add(xattrs: Xattrs | undefined): number {
    if (xattrs === undefined || xattrs.size === 0) return 0;
    const text = [...xattrs].map(([name, value]) => `${name}\0${value.length}\0${value}`).join('');
    // Where directories have attributes, many have the same.
    if (text !== this.#last.text)
      this.#last = { text, set: this.#texts.add(`${text.length}`.padStart(DIGITS, '0') + text) };
    return this.#last.set;
  }

  /** Undefined for an empty one. */
  get(set: number): Xattrs | undefined {
    if (set === 0) return undefined;
    const text = this.#texts.get(set + DIGITS, Number(this.#texts.get(set, DIGITS)));
    const xattrs = new Map<string, string>();
    for (let at = 0; at < text.length; ) {
      const nameEnd = text.indexOf('\0', at);
      const start = text.indexOf('\0', nameEnd + 1) + 1;
      const end = start + Number(text.slice(nameEnd + 1, start - 1));
      xattrs.set(text.slice(at, nameEnd), text.slice(start, end));
      at = end;
    }
    return xattrs;
  }
}
