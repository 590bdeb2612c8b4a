/** What is said of a bound whose file system is damaged. */
import { readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { quote } from '../../config/errors.js';
import { mountAt } from '../../sandbox/devices/host-mounts.js';
import { BOUND } from '../../sandbox/devices/overlay-bound.js';
import { layersOf } from '../../sandbox/devices/overlay-directory.js';
import { isSystemError, messageOf, SandboxError, valueOr } from '../../util/errors.js';
import { serviceError } from '../errors.js';

/** What ext4 says of wrong checksums, and of what cannot be right, as Node.js and programs have it. */
const DAMAGED = [
  { errno: -74, name: 'EBADMSG', text: 'Bad message' },
  { errno: -117, name: 'EUCLEAN', text: 'Structure needs cleaning' },
] as const;

/**
 * @param directory whose bound is mounted
 * @returns `service-bound-damaged` in the place of such an error, if it is of the bound; else what was given
 */
export function withDamage(error: unknown, directory: string): unknown {
  const cause = error instanceof SandboxError ? error.cause : error;
  const found = DAMAGED.find(
    ({ errno, text }) => (isSystemError(cause) && cause.errno === errno) || messageOf(error).includes(`: ${text}`),
  );
  if (found === undefined || !hasErrors(directory)) return error;
  const file = join(directory, BOUND);
  return serviceError(
    'service-bound-damaged',
    `the file system in ${quote(file)}, which bounds the state, is damaged (${found.name})`,
    `while the service does not run, and losetup -j ${file} prints nothing: e2fsck -f ${file}`,
    error,
  );
}

/** Whether its file system has found errors. What reads a state works with other file systems, too. */
function hasErrors(directory: string): boolean {
  const device = mountAt(layersOf(directory))?.device;
  const name = valueOr(() => basename(readlinkSync(`/sys/dev/block/${device}`)), undefined);
  return valueOr(() => Number(readFileSync(`/sys/fs/ext4/${name}/errors_count`, 'latin1')) > 0, false);
}
