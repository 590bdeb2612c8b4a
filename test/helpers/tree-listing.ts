/** A tree of files as data, to compare it with its copy. Paths are Latin-1, so that each byte of a name counts. */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

export interface Listed {
  readonly kind: 'directory' | 'file' | 'link' | 'fifo' | 'other';
  /** Permission bits; of a link none. */
  readonly mode: number;
  /** Of the last change of the content, in microseconds: Node.js sets no more of it. */
  readonly time: bigint;
  /** Of a file: the size and the hash of its content; of a link its target. */
  readonly content: string;
  /** Whether the file has holes. */
  readonly isSparse: boolean;
}

/** Every entry of a tree by its path in it; the root has the path ''. */
export function listTree(root: string): Record<string, Listed> {
  const entries: [string, Listed][] = [];
  const visit = (path: Buffer, name: string) => {
    const entry = entryOf(path);
    entries.push([name, entry]);
    if (entry.kind !== 'directory') return;
    for (const child of readdirSync(path, 'buffer'))
      visit(Buffer.concat([path, Buffer.from('/'), child]), join(name, child.toString('latin1')));
  };
  visit(Buffer.from(root), '');
  return Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1)));
}

function entryOf(path: Buffer): Listed {
  const found = lstatSync(path, { bigint: true });
  const common = { mode: Number(found.mode) & 0o7777, time: found.mtimeNs / 1000n, content: '', isSparse: false };
  if (found.isDirectory()) return { ...common, kind: 'directory' };
  if (found.isSymbolicLink())
    return { ...common, kind: 'link', mode: 0, content: readlinkSync(path, 'buffer').toString('latin1') };
  if (found.isFIFO()) return { ...common, kind: 'fifo' };
  if (!found.isFile()) return { ...common, kind: 'other' };
  const hash = createHash('sha256').update(readFileSync(path)).digest('hex');
  const isSparse = found.blocks * 512n < found.size - 65_536n;
  return { ...common, kind: 'file', content: `${found.size} ${hash}`, isSparse };
}

/** What an attacker must not change. @returns a text that any change of a name, content, owner or mode alters */
export function fingerprint(root: string): string {
  const entries = Object.entries(listTree(root)).map(([path, { kind, mode, content, time }]) => {
    const { uid, gid, ino, ctimeNs } = lstatSync(join(root, path), { bigint: true });
    return [path, kind, mode, content, time, uid, gid, ino, ctimeNs].join(' ');
  });
  return entries.join('\n');
}
