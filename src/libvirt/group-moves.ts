/**
 * Moving a process to a control group has the kernel wait for a grace period of RCU, some 10 ms, unless another move was
 * a moment before. libvirt's daemon does that for each machine, while everybody waits for it. So this process moves
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

/** The group that this process is in: what names it, and files that may be its list of processes. */
export interface OwnGroup {
  readonly name: () => string;
  readonly lists: (name: string) => readonly string[];
}

const OWN: OwnGroup = {
  name: () => valueOr(() => readFileSync('/proc/self/cgroup', 'utf8'), ''),
  lists: (name) => {
    const path = /^0::(\/.*)$/m.exec(name)?.[1];
    return path === undefined ? [] : MOUNTS.map((mount) => join(mount, path, 'cgroup.procs'));
  },
};

export class GroupMoves {
  /** Until when, by performance.now(); 0: they have ended. */
  #until = 0;
  #moving: Promise<void> | undefined;
  readonly #own: OwnGroup;

  constructor(own = OWN) {
    this.#own = own;
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
    const name = this.#own.name();
    const list = openFirst(this.#own.lists(name).filter(listsThis));
    if (list === undefined) return;
    try {
      // Somebody may have moved this process elsewhere: it must not move back.
      while (performance.now() < this.#until && this.#own.name() === name) {
        // 0 is the process that writes. On another thread, which waits in this one's place.
        await writeTo(list, '0');
        await sleep(AGAIN_MS);
      }
    } catch (error) {
      if (!isSystemError(error)) throw error;
    } finally {
      closeSync(list);
    }
  }
}

const writeTo = promisify(write) as (file: number, text: string) => Promise<unknown>;

/** Whether a list has this process. It has not where a namespace gives the group another name than its mount does. */
function listsThis(path: string): boolean {
  return valueOr(() => readFileSync(path, 'utf8'), '')
    .split('\n')
    .includes(`${process.pid}`);
}

function openFirst(paths: readonly string[]): number | undefined {
  for (const path of paths) {
    const file = valueOr(() => openSync(path, 'r+'), undefined);
    if (file !== undefined) return file;
  }
  return undefined;
}
