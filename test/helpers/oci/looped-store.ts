/** A store whose images get loop devices in containers: one on an overlay, of which no file is mounted by itself. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { besideLxc } from '../connections.js';
import { freshDirectory, WITH_ATTRIBUTES } from '../scratch.js';

export class LoopedStore {
  readonly #directory = freshDirectory(WITH_ATTRIBUTES);
  readonly #mounted = join(this.#directory, 'mounted');

  /** The libvirtd for containers has to run. End it with {@link remove}. */
  constructor() {
    const [lower, upper, work] = ['lower', 'upper', 'work'].map((name) => join(this.#directory, name));
    for (const name of ['lower', 'upper', 'work', 'mounted']) mkdirSync(join(this.#directory, name));
    const layers = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
    besideLxc('mount', '-t', 'overlay', '-o', layers, 'none', this.#mounted);
  }

  get env(): { readonly XDG_CACHE_HOME: string } {
    return { XDG_CACHE_HOME: this.#mounted };
  }

  /** The loop devices of its images. */
  loops(): string[] {
    const lines = besideLxc('losetup', '--list', '--noheadings', '--output', 'NAME,BACK-FILE').split('\n');
    return lines.filter((line) => line.includes(this.#directory));
  }

  remove(): void {
    // The kernel may not have let go of the last loop device yet.
    besideLxc('umount', '--lazy', this.#mounted);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
