/** The overlays of a container, from its mount table: proc_pid_mountinfo(5). */
import { textOf } from '../../util/raw-text.js';

export interface MountedOverlay {
  /** Where it is inside, as text of {@link textOf}; empty: the root. */
  readonly path: string;
  /** The upper layer, below what the init keeps. */
  readonly upper: string;
}

/** As init/root-overlay/layers.c mounts them. */
const UPPER = /(?:^|,)upperdir=(upper\/\d{1,5})(?:,|$)/;

/** More than a container has. */
const MOST = 4096;

/** @param table its text, a byte a letter */
export function overlaysIn(table: string): MountedOverlay[] {
  const found = new Map<string, MountedOverlay>();
  for (const line of table.split('\n')) {
    const [before = '', after = ''] = line.split(' - ', 2);
    const [, , , root, point = ''] = before.split(' ');
    const [type, , options = ''] = after.split(' ');
    const [, upper] = UPPER.exec(options) ?? [];
    // A part of one may be bound elsewhere.
    if (type !== 'overlay' || root !== '/' || upper === undefined || found.has(upper)) continue;
    found.set(upper, { path: point === '/' ? '' : textOf(unescaped(point)), upper });
  }
  return [...found.values()].slice(0, MOST);
}

/** The kernel writes white space and backslashes in octal. */
function unescaped(point: string): Buffer {
  const text = point.replaceAll(/\\([0-3][0-7]{2})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return Buffer.from(text, 'latin1');
}
