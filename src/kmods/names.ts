/** Names of modules. `-` and `_` mean the same: the kernel, modprobe and file names mix them freely. */

import { bracketed } from './glob.js';

/** Normalizes a name to the kernel's form: `virtio-rng` becomes `virtio_rng`. */
export function normalizeName(name: string): string {
  return name.includes('-') ? name.replaceAll('-', '_') : name;
}

/** Normalizes an alias. Bracket expressions such as `[a-z]` stay, as in modprobe. */
export function normalizeAlias(alias: string): string {
  if (!alias.includes('[')) return normalizeName(alias);
  return bracketed(alias)
    .map((part) => (part === '-' ? '_' : part))
    .join('');
}

/** File name without directory and compression: `kernel/fs/9p/9p.ko.xz` becomes `9p.ko`. */
export function moduleFileName(path: string): string {
  return `${stemOf(path)}.ko`;
}

/** File name up to its first `.ko`. Optimized, since a tree has thousands of paths. */
function stemOf(path: string): string {
  const start = path.lastIndexOf('/') + 1;
  const end = path.indexOf('.ko', start);
  return path.slice(start, end < 0 ? path.length : end);
}

/** Normalized name of a module's file: `kernel/drivers/char/hw_random/virtio-rng.ko.xz` becomes `virtio_rng`. */
export function moduleNameOf(path: string): string {
  return normalizeName(stemOf(path));
}
