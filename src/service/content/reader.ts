/** With whose rights a sandbox sees the files of its root, and what that one may read. */
import { type BigIntStats, closeSync, constants, openSync } from 'node:fs';
import type { SandboxConfig } from '../../config/types.js';
import type { Platform } from '../../sandbox/devices/overlay.js';
import { valueOr } from '../../util/errors.js';
import { type AccessList, accessListReader, type ReadAccessList } from './access-list.js';

/** Bits of a permission. */
const READ = 4;
const ENTER = 1;
const GROUPS_BITS = 0o070;

/** A user of the host, as far as files go. */
export interface Reader {
  /** Undefined: one to whom nothing belongs. */
  readonly uid: number | undefined;
  readonly gids: readonly number[];
}

/** One who may read what everybody may. */
const OTHERS: Reader = { uid: undefined, gids: [] };

/** Undefined: root, who reads all. QEMU runs as a user of its own: docs/security.md. */
export function readerOf(
  { privileged, identity }: Pick<SandboxConfig, 'privileged' | 'identity'>,
  platform: Platform,
): Reader | undefined {
  if (platform === 'machine') return OTHERS;
  if (privileged === true) return undefined;
  return identity.uid === 0 ? OTHERS : { uid: identity.uid, gids: [identity.gid, ...identity.groups] };
}

/** What a reader may do with files. */
export class Rights {
  readonly #reader: Reader;
  readonly #listOf: ReadAccessList = accessListReader();

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  /** Whether the reader may read a file, or list and enter a directory. @param path by which its list is read */
  mayRead(found: BigIntStats, path: Buffer): boolean {
    return this.#has(found, found.isDirectory() ? READ | ENTER : READ, path);
  }

  /** Whether the reader may enter a directory. */
  mayEnter(found: BigIntStats, path: Buffer): boolean {
    return this.#has(found, ENTER, path);
  }

  #has(found: BigIntStats, wanted: number, path: Buffer): boolean {
    const mode = Number(found.mode);
    const isNamed = this.#reader.uid !== undefined && (mode & GROUPS_BITS) !== 0;
    // Without bits of the group a list lets nobody do anything, and one to whom nothing belongs is in none.
    const list = isNamed ? this.#list(path) : undefined;
    return permits({ mode, uid: Number(found.uid), gid: Number(found.gid) }, list, this.#reader, wanted);
  }

  #list(path: Buffer): AccessList | undefined {
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
    const fd = valueOr(() => openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK), undefined);
    if (fd === undefined) return undefined;
    try {
      return this.#listOf(fd);
    } finally {
      closeSync(fd);
    }
  }
}

/** As the kernel decides it: acl(5), "Access check algorithm". */
export function permits(
  { mode, uid, gid }: { readonly mode: number; readonly uid: number; readonly gid: number },
  list: AccessList | undefined,
  reader: Reader,
  wanted: number,
): boolean {
  const allows = (rights: number) => (rights & wanted) === wanted;
  if (reader.uid === uid) return allows(mode >> 6);
  if (list === undefined) return allows(reader.gids.includes(gid) ? mode >> 3 : mode);
  const named = reader.uid === undefined ? undefined : list.users.get(reader.uid);
  if (named !== undefined) return allows(named & list.mask);
  const ofGroups = [
    ...(reader.gids.includes(gid) ? [list.ownGroup] : []),
    ...reader.gids.flatMap((each) => list.groups.get(each) ?? []),
  ];
  if (ofGroups.length === 0) return allows(mode);
  return ofGroups.some((rights) => allows(rights & list.mask));
}
