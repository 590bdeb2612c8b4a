/** A directory with all that a state can have, and what is in it as text. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, lchownSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Every name with kind, mode, owners, links, size, blocks, times, target and attributes. */
export function treeText(directory: string): string {
  const find = ['-mindepth', '1', '-printf', '%P %y %m %U:%G %n %s %b %T@ %l\\n'];
  const files = execFileSync('find', ['.', ...find], { cwd: directory, encoding: 'latin1' });
  const read =
    'import os\nfor d, ds, fs in os.walk(b"."):\n  for n in ds + fs:\n    p = os.path.join(d, n)\n    print(p, sorted((a, os.getxattr(p, a, follow_symlinks=False)) for a in os.listxattr(p, follow_symlinks=False)))';
  const attributes = execFileSync('python3', ['-c', read], { cwd: directory, encoding: 'latin1' });
  return [...files.split('\n').sort(), ...attributes.split('\n').sort()].join('\n');
}

/** @param more a shell's words, in the directory */
export function fillTree(directory: string, more = ''): void {
  for (const path of ['d', 'd/e']) mkdirSync(join(directory, path));
  writeFileSync(join(directory, 'file'), 'text');
  linkSync(join(directory, 'file'), join(directory, 'd/second'));
  symlinkSync('/etc/shadow', join(directory, 'absolute'));
  symlinkSync('../../../..', join(directory, 'd/up'));
  lchownSync(join(directory, 'absolute'), 7, 8);
  const make = `mkfifo pipe; mknod whiteout c 0 0; truncate -s 64M holes; echo x >> holes; ${more}
    python3 -c 'import os
os.setxattr("file", "user.virtiofs.trusted.overlay.origin", b"1"); os.setxattr("d", "trusted.overlay.opaque", b"y")
os.setxattr("file", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
open(b"n\\xff\\n -x", "w"); open("-t", "w"); os.utime("file", ns=(1, 1234567890123456789))'`;
  execFileSync('sh', ['-ec', make], { cwd: directory });
  chownSync(join(directory, 'd/e'), 1234, 5678);
  chmodSync(join(directory, 'd/e'), 0o3777);
}
