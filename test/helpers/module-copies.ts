/** Copies of installed module trees, for tests that damage them. */
import { cpSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Enough for a 9p root; a whole tree has a hundred megabytes. */
const PARTS = ['kernel/fs/9p', 'kernel/fs/netfs', 'kernel/net/9p', 'kernel/drivers/virtio', 'kernel/drivers/char'];

/**
 * Copies the index of an installed tree and the modules that a 9p root may need.
 * @returns `to`
 */
export function copyTree(version: string, to: string): string {
  const from = `/lib/modules/${version}`;
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) {
    if (name.startsWith('modules.')) cpSync(join(from, name), join(to, name));
  }
  for (const part of PARTS) cpSync(join(from, part), join(to, part), { recursive: true, force: true });
  return to;
}
