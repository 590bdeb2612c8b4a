/**
 * The ids of a container's user namespace: a range of the host's for each, which no user has. So root inside has none
 * of the host's files, and two containers none of each other's.
 */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { GuestConfig } from '../../../init/common/config.js';
import type { Identity } from '../../config/types.js';
import type { IdMap, IdRange } from '../../protocol/operations.js';
import { SandboxError, valueOr } from '../../util/errors.js';
import { option, shortOption } from '../../util/option-names.js';
import { isMapped } from './qemu-user.js';

/**
 * The ids of all containers, behind those of QEMUs: src/util/qemu-ids.ts. The last range ends where systemd's foreign
 * users begin: https://systemd.io/UIDS-GIDS/
 */
const FIRST = 0x7c00_0000;
/** The ids of one container: all that a user database has without a name service. */
const RANGE = 0x1_0000;
const RANGES = 0x3fe;

/** The number of the range, in the state directory. */
const FILE = 'ids';

/** The kernel takes a map of a page. Each group of the user's adds two lines to it. user_namespaces(7) */
const MOST_GROUPS = 80;

/**
 * Ids 0 to 65535 inside are a range of the host's. A user other than root is the same inside, with its groups: it may
 * read and write what is that user's. Users of an OCI image are nobody on the host: it may have any numbers.
 *
 * @param stateDirectory the claimed one
 * @param isOfImage the identity is that of a user of an OCI image
 * @throws {SandboxError} `container-ids-missing` if this host has no such ids, `user-not-mapped` if the user of an image
 *   has none there
 */
export function containerIds(
  stateDirectory: string,
  { uid, gid, groups }: Pick<Identity, 'uid' | 'gid' | 'groups'>,
  isOfImage = false,
): IdMap {
  if (!isMapped({ first: FIRST, count: RANGE * RANGES })) throw idsMissing();
  if (isOfImage) refuseUnmapped([uid, gid, ...groups], 'the user of the image');
  const first = FIRST + RANGE * claimRange(stateDirectory);
  if (uid === 0 || isOfImage) return { uids: mapOf(first, []), gids: mapOf(first, []) };
  return { uids: mapOf(first, [uid]), gids: mapOf(first, [gid, ...groups.slice(0, MOST_GROUPS)]) };
}

/**
 * Refuses a user whom a running container cannot have. With `-p` it has all of the host's ids.
 * @param guest the container; of a machine, nothing is refused
 * @throws {SandboxError} `user-not-mapped`
 */
export function refuseUnmappedUser(
  { platform, privileged, identity: own }: Pick<GuestConfig, 'platform' | 'privileged' | 'identity'>,
  { uid, gid, groups }: Pick<Identity, 'uid' | 'gid' | 'groups'>,
): void {
  if (platform !== 'container' || privileged) return;
  const ownGroups = [own.gid, ...own.groups];
  const others = [...(uid === own.uid ? [] : [uid]), ...[gid, ...groups].filter((id) => !ownGroups.includes(id))];
  refuseUnmapped(others, 'the user');
}

/** The kernel would say only that the argument is invalid. */
function refuseUnmapped(ids: readonly number[], who: string): void {
  const above = ids.find((id) => id >= RANGE);
  if (above === undefined) return;
  throw new SandboxError({
    stage: 'domain',
    code: 'user-not-mapped',
    message: `${who} has the id ${above}, and a container has ids up to ${RANGE - 1}`,
    remedy: `name another user (${option('root.user')}), or run a machine: ${shortOption('connect', 'qemu:///embed')}`,
  });
}

/** Every id of the range, except those that are the same inside and outside. Root's never is. */
function mapOf(first: number, same: readonly number[]): IdRange[] {
  const ids = [...new Set(same)].filter((id) => id > 0).sort((a, b) => a - b);
  const ranges: IdRange[] = [];
  let next = 0;
  const addUpTo = (end: number) => {
    if (end > next) ranges.push({ inside: next, outside: first + next, count: end - next });
  };
  for (const id of ids) {
    addUpTo(Math.min(id, RANGE));
    ranges.push({ inside: id, outside: id, count: 1 });
    next = id + 1;
  }
  addUpTo(RANGE);
  return ranges;
}

/**
 * The first range that no other sandbox has, from the one on that the directory's inode number gives. Only sandboxes
 * with the same remainder that start in the same moment could take the same.
 */
function claimRange(stateDirectory: string): number {
  const base = dirname(stateDirectory);
  const taken = new Set(
    readdirSync(base)
      .filter((name) => name !== basename(stateDirectory))
      .map((name) => valueOr(() => Number.parseInt(readFileSync(join(base, name, FILE), 'latin1'), 10), undefined)),
  );
  let range = statSync(stateDirectory).ino % RANGES;
  for (let tries = 0; taken.has(range) && tries < RANGES; tries += 1) range = (range + 1) % RANGES;
  writeFileSync(join(stateDirectory, FILE), `${range}\n`);
  return range;
}

function idsMissing(): SandboxError {
  return new SandboxError({
    stage: 'domain',
    code: 'container-ids-missing',
    message: `this host has no users ${FIRST} to ${FIRST + RANGE * RANGES - 1}, which containers run as`,
    remedy: 'start the container outside of this one (/proc/self/uid_map), or run a machine: -c qemu:///embed',
  });
}
