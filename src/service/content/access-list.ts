/** POSIX access control lists of files: acl(5), <linux/posix_acl_xattr.h> */
import { createRequire } from 'node:module';

const ATTRIBUTE = 'system.posix_acl_access';
/** More than a list of a hundred entries has. */
const MOST_BYTES = 4096;
const HEADER_BYTES = 4;
const ENTRY_BYTES = 8;

const TAGS = { user: 0x02, ownGroup: 0x04, group: 0x08, mask: 0x10 } as const;

/** What a list has beside the mode. Numbers are permissions of three bits. */
export interface AccessList {
  /** Users that are named. */
  readonly users: ReadonlyMap<number, number>;
  /** Groups that are named. */
  readonly groups: ReadonlyMap<number, number>;
  /** Of the file's group. The bits of the group in the mode are the mask, if there is a list. */
  readonly ownGroup: number;
  /** The most that each of these may do. */
  readonly mask: number;
}

/** The list of the file with that descriptor; undefined: it has none. */
export type ReadAccessList = (fd: number) => AccessList | undefined;

export function accessListReader(): ReadAccessList {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  const fgetxattr = koffi
    .load('libc.so.6')
    .func('intptr_t fgetxattr(int fd, const char *name, _Out_ uint8_t *value, size_t size)');
  return (fd) => {
    const value = Buffer.alloc(MOST_BYTES);
    const size = Number(fgetxattr(fd, ATTRIBUTE, value, value.length));
    return size < 0 ? undefined : parseAccessList(value.subarray(0, size));
  };
}

/** @returns undefined: it is none of version 2 */
export function parseAccessList(bytes: Buffer): AccessList | undefined {
  if (bytes.length < HEADER_BYTES || bytes.readUInt32LE(0) !== 2) return undefined;
  const users = new Map<number, number>();
  const groups = new Map<number, number>();
  let ownGroup = 0;
  let mask = 7;
  for (let at = HEADER_BYTES; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
    const [tag, rights, id] = [bytes.readUInt16LE(at), bytes.readUInt16LE(at + 2) & 7, bytes.readUInt32LE(at + 4)];
    if (tag === TAGS.user) users.set(id, rights);
    else if (tag === TAGS.group) groups.set(id, rights);
    else if (tag === TAGS.ownGroup) ownGroup = rights;
    else if (tag === TAGS.mask) mask = rights;
  }
  return { users, groups, ownGroup, mask };
}

/** The mode of a file without its list: nobody may do more than with it. */
export function modeWithout(mode: number, list: AccessList | undefined): number {
  return list === undefined ? mode : (mode & ~0o070) | ((list.ownGroup & list.mask) << 3);
}
