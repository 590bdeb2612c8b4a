/** A directory with files of every kind, and a command that lists it in a guest. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Makes a tree with one file of each kind that can be copied without privileges. */
export function makeTree(directory: string): string {
  const tree = join(directory, 'tree');
  mkdirSync(join(tree, 'dir/inner'), { recursive: true });
  writeFileSync(join(tree, 'file'), 'a file\n');
  writeFileSync(join(tree, 'empty'), '');
  writeFileSync(join(tree, 'dir/program'), '#!/bin/sh\necho it ran\n');
  symlinkSync('file', join(tree, 'link'));
  symlinkSync('/not/there', join(tree, 'dangling'));
  execFileSync('mkfifo', ['-m', '640', join(tree, 'pipe')]);
  for (const [path, mode] of [
    ['file', 0o640],
    ['empty', 0o600],
    ['dir', 0o751],
    ['dir/inner', 0o700],
    ['dir/program', 0o4755],
  ] as const)
    chmodSync(join(tree, path), mode);
  return tree;
}

/** The output of {@link list} for that tree if nobody owns it. */
export const LISTING = [
  './dangling l777 nobody -> /not/there',
  './dir d751 nobody',
  './dir/inner d700 nobody',
  './dir/program f4755 nobody',
  './empty f600 nobody',
  './file f640 nobody',
  './link l777 nobody -> file',
  './pipe p640 nobody',
].join('\n');

/** A shell command that prints path, kind, mode, owner and link target of every file below `path`. */
export const list = (path: string) =>
  `cd ${path} && find . -mindepth 1 -printf '%p %y%m %u' \\( -type l -printf ' -> %l' -o -true \\) -printf '\\n' | LC_ALL=C sort`;
