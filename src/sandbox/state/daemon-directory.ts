/**
 * The directory where libvirt's daemon keeps what each QEMU needs of it. Debian closes it to all but libvirt's own user
 * and group (0750), Fedora lets all through (0751); the QEMU of a sandbox has a user of its own.
 */
import { statSync } from 'node:fs';
import { hasQemuUser } from './qemu-user.js';

const DIRECTORY = '/var/lib/libvirt/qemu';
const SEARCHABLE_FOR_ALL = 0o001;

/**
 * Why machines of root's would not start over `qemu:///system`, and what to do, in a part of a sentence; undefined: they
 * would, or it is not known, since there is no such directory here.
 */
export function closedToQemu(directory = DIRECTORY): string | undefined {
  if (!hasQemuUser('system')) return undefined;
  const found = statSync(directory, { throwIfNoEntry: false });
  if (found === undefined || (found.mode & SEARCHABLE_FOR_ALL) !== 0) return undefined;
  return `${directory} is closed to QEMU, which has a user of its own (chmod o+x ${directory} opens it)`;
}
