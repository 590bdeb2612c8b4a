/** What members of an archive take of a file system: rather too much than too little. */
import { isOfState } from './attributes.js';
import type { Member } from './members.js';

/** Larger ones are no blocks: NFS names the bytes that it sends at once, and ZFS those of its largest records. */
const MOST_BLOCK = 65_536;
const USUAL_BLOCK = 4096;
/** Bytes of an inode where they are made as they are needed. */
const INODE_BYTES = 512;
/** Of a name in its directory, besides the name. Blocks of large directories may be half full. */
const [ENTRY_BYTES, ENTRY_PARTS] = [16, 2];
/** What fits into an inode: of attributes, and of a link. */
const [INLINE_ATTRIBUTES, INLINE_LINK] = [96, 59];
/** Of an attribute besides its name and value, and of an entry of an access list: at most. */
const [ATTRIBUTE_BYTES, ACCESS_BYTES] = [20, 8];

export class Needs {
  #bytes = 0;
  #inodes = 0;
  readonly #block: number;

  /** @param block bytes that a file takes at a time */
  constructor(block: number) {
    this.#block = block > 0 && block <= MOST_BLOCK ? block : USUAL_BLOCK;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get inodes(): number {
    return this.#inodes;
  }

  add(member: Member): void {
    const { name, type, link } = member;
    this.#bytes += ENTRY_PARTS * (ENTRY_BYTES + name.length - (name.lastIndexOf('/') + 1));
    // It is another name of an inode that counts already.
    if (type === 'link') return;
    this.#inodes += 1;
    this.#bytes += INODE_BYTES + this.#contentOf(member) + this.#attributesOf(member);
    if (type === 'directory') this.#bytes += this.#block;
    if (type === 'symlink' && link.length > INLINE_LINK) this.#bytes += this.#blocks(link.length);
  }

  /** Holes take nothing, and each part begins and ends within a block. */
  #contentOf({ size, holes }: Member): number {
    if (holes === undefined) return this.#blocks(size);
    let [blocks, first] = [0, 0];
    for (let at = 0; at < holes.parts.length; at += 2) {
      const [offset = 0, length = 0] = [holes.parts[at], holes.parts[at + 1]];
      const end = Math.ceil((offset + length) / this.#block);
      blocks += length === 0 ? 0 : end - Math.max(first, Math.floor(offset / this.#block));
      first = Math.max(first, end);
    }
    return blocks * this.#block;
  }

  #attributesOf({ attributes, accessLists }: Member): number {
    let bytes = 0;
    for (const [name, value] of attributes) if (isOfState(name)) bytes += ATTRIBUTE_BYTES + name.length + value.length;
    for (const [, text] of accessLists) bytes += ATTRIBUTE_BYTES + ACCESS_BYTES * text.split(/[\n,]/).length;
    return bytes <= INLINE_ATTRIBUTES ? 0 : this.#blocks(bytes);
  }

  #blocks(bytes: number): number {
    return Math.ceil(bytes / this.#block) * this.#block;
  }
}
