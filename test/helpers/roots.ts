/** Small root directories for sandboxes. */

import { copyFileSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { scratchDirectory } from './scratch.js';

const BUSYBOX = '/bin/busybox';

/** A fresh root with these directories and a static busybox as /bin/sh. */
export function makeRoot(context: TestContext, ...directories: readonly string[]): string {
  const root = scratchDirectory(context);
  for (const name of ['bin', ...directories]) mkdirSync(join(root, name), { recursive: true, mode: 0o755 });
  copyFileSync(BUSYBOX, join(root, 'bin/busybox'));
  symlinkSync('busybox', join(root, 'bin/sh'));
  return root;
}

export const unlessBusybox = existsSync(BUSYBOX) ? false : `${BUSYBOX} is not installed`;
