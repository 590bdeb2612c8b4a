/**
 * Names of modules. The kernel, modprobe and file names write `-` and `_` as they like: they are the same.
 */

import { basename } from 'node:path';

/** The name in the form that the kernel shows: with `_`, `virtio-rng` is `virtio_rng`. */
export function normalizeName(name: string): string {
  return name.replaceAll('-', '_');
}

/** An alias in the same form; a bracket expression such as `[a-z]` stays as it is, as modprobe leaves it. */
export function normalizeAlias(alias: string): string {
  return alias.replace(/\[[^\]]*\]|-/g, (part) => (part === '-' ? '_' : part));
}

/** The file's name without its directory and compression: `kernel/fs/9p/9p.ko.xz` is `9p.ko`. */
export function moduleFileName(path: string): string {
  return basename(path).replace(/\.ko(\.\w+)?$/, '.ko');
}

/** The module's normalised name: `kernel/drivers/char/hw_random/virtio-rng.ko.xz` is `virtio_rng`. */
export function moduleNameOf(path: string): string {
  return normalizeName(moduleFileName(path).replace(/\.ko$/, ''));
}
