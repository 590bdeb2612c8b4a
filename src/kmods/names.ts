/**
 * Names of modules. The kernel, modprobe and file names write `-` and `_` as they like: they are the same.
 */

/** The name in the form that the kernel shows: with `_`, `virtio-rng` is `virtio_rng`. */
export function normalizeName(name: string): string {
  return name.includes('-') ? name.replaceAll('-', '_') : name;
}

/** An alias in the same form; a bracket expression such as `[a-z]` stays as it is, as modprobe leaves it. */
export function normalizeAlias(alias: string): string {
  return alias.replace(/\[[^\]]*\]|-/g, (part) => (part === '-' ? '_' : part));
}

/** The file's name without its directory and compression: `kernel/fs/9p/9p.ko.xz` is `9p.ko`. */
export function moduleFileName(path: string): string {
  return `${stemOf(path)}.ko`;
}

/** The file's name up to its first `.ko`. Written for speed: a tree has thousands of paths. */
function stemOf(path: string): string {
  const start = path.lastIndexOf('/') + 1;
  const end = path.indexOf('.ko', start);
  return path.slice(start, end < 0 ? path.length : end);
}

/** The module's normalised name: `kernel/drivers/char/hw_random/virtio-rng.ko.xz` is `virtio_rng`. */
export function moduleNameOf(path: string): string {
  return normalizeName(stemOf(path));
}
