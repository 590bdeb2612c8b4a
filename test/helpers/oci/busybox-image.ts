/** An image with one program, busybox, in a directory of this host. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { findInPath } from '../../../src/util/programs.js';
import { testImage, writeLayout } from './image.js';
import { tarOf } from './tar.js';

/** A user whom no host has. */
export const SOMEBODY = 5_000_000;
const GROUP = 7;

/** Programs by which it calls busybox. There is no `true`. */
const NAMES = ['sh', 'cat', 'stat', 'sleep', 'id', 'head'];

/**
 * Writes the image, in place of one that is there.
 * @param content of its file /data, which is {@link SOMEBODY}'s
 * @returns its name for `--root`
 */
export function writeBusyboxImage(parent: string, content: string): string {
  const directory = join(parent, 'layout');
  rmSync(directory, { recursive: true, force: true });
  const busybox = readFileSync(findInPath('busybox') ?? 'busybox');
  const layer = tarOf(
    { name: 'bin/', type: '5' },
    { name: 'bin/busybox', data: busybox, mode: 0o755 },
    ...NAMES.map((name) => ({ name: `bin/${name}`, type: '2', link: 'busybox' })),
    { name: 'data', data: content, uid: SOMEBODY, gid: GROUP, mode: 0o640 },
  );
  const { blobs, manifest } = testImage([layer], { config: { Cmd: ['sleep', '1000'] } });
  writeLayout(directory, blobs, [{ blob: manifest, tag: 'v1' }]);
  return `oci:${directory}:v1`;
}
