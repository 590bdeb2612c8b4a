/** The root below an overlay, if it is the file system of an OCI image: a file of the host that nobody writes to. */
import { type ErofsInode, ErofsReader } from '../../oci/erofs/reader.js';
import type { Entry, LowerLayer, Redirect } from './layer.js';

/** The way down. A guest says which directories are looked into. */
export class ImageBelow implements LowerLayer {
  readonly #image: ErofsReader;
  readonly #isOwner: boolean;
  /** The names of the directories on the way, the topmost first. */
  readonly #way: ReadonlyMap<string, number>[];

  private constructor(image: ErofsReader, isOwner: boolean, way: readonly ReadonlyMap<string, number>[]) {
    this.#image = image;
    this.#isOwner = isOwner;
    this.#way = [...way];
  }

  /**
   * @param path of the EROFS image
   * @throws {ErofsError} a system error
   */
  static open(path: string): ImageBelow {
    const image = new ErofsReader(path);
    try {
      return new ImageBelow(image, true, [new Map(image.entries(image.inode(image.root)))]);
    } catch (error) {
      image.close();
      throw error;
    }
  }

  stat(name: string): Entry | undefined {
    const inode = this.#find(name);
    if (inode === undefined) return undefined;
    const { mode, uid, gid, size, mtimeNs, device } = inode;
    return {
      mode: BigInt(mode),
      uid: BigInt(uid),
      gid: BigInt(gid),
      size: BigInt(size),
      mtimeNs,
      rdev: BigInt(device),
    };
  }

  target(name: string): string | undefined {
    const inode = this.#find(name);
    return inode?.kind === 'symlink' ? this.#image.target(inode) : undefined;
  }

  names(): string[] {
    return [...(this.#way.at(-1)?.keys() ?? [])];
  }

  enter(name: string): boolean {
    const inode = this.#find(name);
    if (inode?.kind !== 'directory') return false;
    this.#way.push(new Map(this.#image.entries(inode)));
    return true;
  }

  leave(): void {
    this.#way.pop();
  }

  redirected({ isAbsolute, names }: Redirect): ImageBelow | undefined {
    const other = new ImageBelow(this.#image, false, isAbsolute ? this.#way.slice(0, 1) : this.#way);
    return names.every((name) => other.enter(name)) ? other : undefined;
  }

  close(): void {
    if (this.#isOwner) this.#image.close();
  }

  #find(name: string): ErofsInode | undefined {
    const number = this.#way.at(-1)?.get(name);
    return number === undefined ? undefined : this.#image.inode(number);
  }
}
