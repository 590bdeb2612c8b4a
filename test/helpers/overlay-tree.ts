/** A tree of the host that sandboxes with an overlay change, and what they change in it. */
import { chmodSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** @param ground a directory that is there; the tree is in it */
export function makeOverlayTree(ground: string): string {
  const tree = join(ground, 'tree');
  chmodSync(ground, 0o755);
  for (const name of ['tree', 'tree/sub', 'tree/sub/deep', 'tree/gone', 'tree/again'])
    mkdirSync(join(ground, name), { mode: 0o755 });
  for (const name of [
    'file',
    'mode',
    'removed',
    'replaced',
    'touched',
    'sub/file',
    'sub/deep/file',
    'gone/x',
    'again/old',
  ])
    writeFileSync(join(tree, name), `host ${name}\n`, { mode: 0o644 });
  linkSync(join(tree, 'file'), join(tree, 'second'));
  symlinkSync('file', join(tree, 'link'));
  return tree;
}

/** What root inside does to it. `sub` is renamed, as a whole where the overlay can. */
export function changesOfTree(tree: string): string {
  return [
    `cd ${tree}`,
    'echo more >> file',
    'chmod 600 mode',
    'rm removed',
    'rm -r gone',
    'rm -r again; mkdir again; echo new > again/new',
    'rm replaced; mkdir replaced',
    // It is copied as it is, so it counts as unchanged.
    'touch -r touched touched',
    'ln -sfn elsewhere link',
    'mv sub moved; rm moved/file; echo new > moved/deep/new',
    `printf x > "$(printf 'a\\nb\\033[31m')"`,
    'mkfifo pipe',
    'cd /; sync',
  ].join('\n');
}

/** What `virt-sandbox-ctl diff` says of it then, of what is in the tree. */
export function diffOfTree(tree: string): string[] {
  return [
    `C ${tree}`,
    `A ${tree}/a\\nb\\u{1b}[31m`,
    `C ${tree}/again`,
    `A ${tree}/again/new`,
    `D ${tree}/again/old`,
    `C ${tree}/file`,
    `D ${tree}/gone`,
    `C ${tree}/link`,
    `C ${tree}/mode`,
    `A ${tree}/moved`,
    `A ${tree}/moved/deep`,
    `A ${tree}/moved/deep/file`,
    `A ${tree}/moved/deep/new`,
    `A ${tree}/pipe`,
    `D ${tree}/removed`,
    `C ${tree}/replaced`,
    `D ${tree}/sub`,
  ];
}

/** The lines of `diff` about the tree, and about what is in it. */
export function aboutTree(said: string, tree: string): string[] {
  return said.split('\n').filter((line) => line.slice(2) === tree || line.slice(2).startsWith(`${tree}/`));
}
