/**
 * How QEMU's command line names the memory of a snapshot. src/domain writes it, and inspect/users.ts finds by it the
 * machines that run from a snapshot.
 */

import { isRecord, parseJson } from '../../util/records.js';

/** Id of QEMU's memory object. It is part of the saved state, so it must not change. */
export const MEMORY_ID = 'warm-memory';

/**
 * The path of the memory file that one argument of QEMU names; undefined for any other argument, of whatever program.
 */
export function memoryPathIn(argument: string): string | undefined {
  if (!argument.startsWith('{') || !argument.includes(MEMORY_ID)) return undefined;
  const backend = parseJson(argument);
  const path = isRecord(backend) && backend['id'] === MEMORY_ID ? backend['mem-path'] : undefined;
  return typeof path === 'string' ? path : undefined;
}
