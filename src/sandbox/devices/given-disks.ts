/** Disks that libvirt gives to QEMU's user while a sandbox runs. */
import { chownSync, closeSync, fstatSync, openSync } from 'node:fs';
import type { DiskDevice } from '../../domain/disks.js';
import { valueOr } from '../../util/errors.js';
import { isQemuUid } from '../../util/qemu-ids.js';

interface Given {
  /** Of the file itself, whatever is at its path at the end. */
  readonly fd: number;
  readonly uid: number;
  readonly gid: number;
}

/** From <linux/fcntl.h>: a descriptor that reads and writes nothing. */
const O_PATH = 0o10000000;

/**
 * Makes up for libvirt, which now and then gives a disk to root at the end, and not to its owner: one end of six on a
 * host whose utmp(5) lacks the time of boot. It keeps that time with the owner, and takes an owner with another time
 * for an old one. Without utmp it computes the time anew for each disk, from the clock and the time since, to the
 * second: virHostGetBootTimeProcfs in its source.
 */
export class GivenDisks {
  readonly #given: readonly Given[];

  /** Call it before libvirt has the domain. Read-only disks stay QEMU's: others may have them too. */
  constructor(disks: readonly DiskDevice[]) {
    this.#given = disks.filter(({ readOnly }) => !readOnly).flatMap(({ source }) => givenOf(source));
  }

  /** Call it once, when libvirt has ended the domain. A disk that somebody else was given meanwhile is left alone. */
  giveBack(): void {
    for (const { fd, uid, gid } of this.#given) {
      const now = fstatSync(fd);
      if (now.uid === 0 && now.gid === 0) valueOr(() => chownSync(`/proc/self/fd/${fd}`, uid, gid), undefined);
      closeSync(fd);
    }
  }
}

/** None: libvirt will say why, or a run that was killed has left it to QEMU's user. */
function givenOf(path: string): Given[] {
  const fd = valueOr(() => openSync(path, O_PATH), undefined);
  if (fd === undefined) return [];
  const { uid, gid } = fstatSync(fd);
  if (!isQemuUid(uid)) return [{ fd, uid, gid }];
  closeSync(fd);
  return [];
}
