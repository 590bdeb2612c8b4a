/**
 * Moving a process to a control group has the kernel wait for a grace period of RCU, some 10 ms, unless another move was
 * a moment before. libvirt's daemon does that for each domain, while everybody waits for it. So this process moves
 * itself to the group that it is in, again and again: it waits where nobody else does, and libvirt need not.
 *
 * A mount with the option favordynmods needs none of it: https://docs.kernel.org/admin-guide/cgroup-v2.html
 */

import { closeSync, openSync, readFileSync, write } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { isSystemError, valueOr } from '../util/errors.js';

/** Where hosts mount control groups of version 2, beside version 1 too. */
const MOUNTS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'];

/** How often to move, in milliseconds: more often than the kernel's grace periods end. */
const AGAIN_MS = 3;

export class GroupMoves {
  /** Until when, by performance.now(); 0: they have ended. */
  #until = 0;
  #moving: Promise<void> | undefined;
  readonly #files: readonly string[];

  /** @param files where this process may be moved to its own group: the first that can be opened */
  constructor(files = ownFiles()) {
    this.#files = files;
  }

  /** Keeps moves quick for this long from now, in milliseconds, or until {@link end}. Without the right to, does nothing. */
  keepQuick(milliseconds: number): void {
    this.#until = performance.now() + milliseconds;
    this.#moving ??= this.#move().finally(() => {
      this.#moving = undefined;
    });
  }

  end(): void {
    this.#until = 0;
  }

  async #move(): Promise<void> {
    const file = openFirst(this.#files);
    if (file === undefined) return;
    try {
      do {
        // 0 is the process that writes. On another thread, which waits in this one's place.
        await writeTo(file, '0');
        await sleep(AGAIN_MS);
      } while (performance.now() < this.#until);
    } catch (error) {
      if (!isSystemError(error)) throw error;
    } finally {
      closeSync(file);
    }
  }
}

const writeTo = promisify(write) as (file: number, text: string) => Promise<unknown>;

/** The files that list the processes of the group that this one is in. */
function ownFiles(): string[] {
  const path = /^0::(\/.*)$/m.exec(valueOr(() => readFileSync('/proc/self/cgroup', 'utf8'), ''))?.[1];
  return path === undefined ? [] : MOUNTS.map((mount) => join(mount, path, 'cgroup.procs'));
}

function openFirst(files: readonly string[]): number | undefined {
  for (const path of files) {
    const file = valueOr(() => openSync(path, 'r+'), undefined);
    if (file !== undefined) return file;
  }
  return undefined;
}
