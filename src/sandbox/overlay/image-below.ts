/** The root below an overlay, if it is the file system of an OCI image: a file of the host that nobody writes to. */
import { ErofsImage } from '../../disk-image/erofs.js';
import type { Entry, LowerLayer, Redirect } from './layer.js';

/** The way down. A guest says which directories are looked into. */
export class ImageBelow implements LowerLayer {
  readonly #image: ErofsImage;
  readonly #isOwner: boolean;
  /** The names of the directories on the way, the topmost first. */
  readonly #way: ReadonlyMap<string, number>[];

  private constructor(image: ErofsImage, isOwner: boolean, way: readonly ReadonlyMap<string, number>[]) {
    this.#image = image;
    this.#isOwner = isOwner;
    this.#way = [...way];
  }

  /**
   * @param path of the EROFS image
   * @throws {ErofsError} a system error
   */
  static open(path: string): ImageBelow {
    const image = new ErofsImage(path);
    try {
      return new ImageBelow(image, true, [image.entries(image.root) ?? new Map()]);
    } catch (error) {
      image.close();
      throw error;
    }
  }

  stat(name: string): Entry | undefined {
    const number = this.#find(name);
    if (number === undefined) return undefined;
    const { mode, uid, gid, size, mtimeNs, rdev } = this.#image.inode(number);
    return { mode: BigInt(mode), uid: BigInt(uid), gid: BigInt(gid), size: BigInt(size), mtimeNs, rdev };
  }

  target(name: string): string | undefined {
    const number = this.#find(name);
    return number === undefined ? undefined : this.#image.target(number);
  }

  names(): string[] {
    return [...(this.#way.at(-1)?.keys() ?? [])];
  }

  enter(name: string): boolean {
    const number = this.#find(name);
    const entries = number === undefined ? undefined : this.#image.entries(number);
    if (entries === undefined) return false;
    this.#way.push(entries);
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

  #find(name: string): number | undefined {
    return this.#way.at(-1)?.get(name);
  }
}
