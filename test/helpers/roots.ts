/** Small root directories for sandboxes. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { scratchDirectory } from './scratch.js';

export const BUSYBOX = '/bin/busybox';

/** A new root with these directories and a static busybox as /bin/sh. */
export function makeRoot(context: TestContext, ...directories: readonly string[]): string {
  const root = scratchDirectory(context);
  for (const name of ['bin', ...directories]) mkdirSync(join(root, name), { recursive: true, mode: 0o755 });
  copyFileSync(BUSYBOX, join(root, 'bin/busybox'));
  symlinkSync('busybox', join(root, 'bin/sh'));
  return root;
}

export const unlessBusybox = existsSync(BUSYBOX) ? false : `${BUSYBOX} is not installed`;

const MUSL = ['/usr/lib/x86_64-linux-musl/libc.so', '/usr/lib/musl/lib/libc.so'].find(existsSync);

/** Adds /bin/program, which is linked dynamically with musl and prints `hello from musl`. */
export function addMuslProgram(root: string): void {
  mkdirSync(join(root, 'lib'), { recursive: true });
  copyFileSync(MUSL ?? '', join(root, 'lib/ld-musl-x86_64.so.1'));
  execFileSync('musl-gcc', ['-x', 'c', '-o', join(root, 'bin/program'), '-'], {
    input: '#include <stdio.h>\nint main(void) { return puts("hello from musl") < 0; }\n',
  });
}

export const unlessMusl = MUSL === undefined ? 'musl is not installed' : false;
