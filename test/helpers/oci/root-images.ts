/** Images of busybox, in a directory each, to be the roots of sandboxes. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { scratchDirectory } from '../scratch.js';
import { type TestImage, testImage, writeLayout } from './image.js';
import { type TarEntry, tarOf } from './tar.js';

const BUSYBOX = '/bin/busybox';
const APPLETS = (
  'awk cat chgrp chmod chown chroot cp cut date dd echo env find grep head hostname httpd id kill ln ls mkdir mknod ' +
  'mount mv readlink rm sh sleep sort stat tail test touch tr true umount unshare wget'
).split(' ');

export const unlessBusyboxImage = existsSync(BUSYBOX) ? false : `${BUSYBOX} is not installed`;

/** Users that are in the image only. */
const PASSWD = 'root:x:0:0:root:/root:/bin/sh\nweb:x:1234:1235:web:/home/web:/bin/sh\n';
const GROUP = 'root:x:0:\nweb:x:1235:\nextra:x:77:web\n';

/**
 * An image with busybox, and the users `web` (1234:1235, 77) and `root`.
 * @param entries more of its only layer; one of a name that it has replaces that
 * @param config the field `config` of its config
 */
export function imageOfBusybox(entries: readonly TarEntry[] = [], config: object = {}): TestImage {
  const usual: TarEntry[] = [
    { name: 'bin/', type: '5' },
    { name: 'bin/busybox', data: readFileSync(BUSYBOX), mode: 0o755 },
    ...APPLETS.map((name) => ({ name: `bin/${name}`, type: '2', link: 'busybox' })),
    { name: 'etc/', type: '5' },
    { name: 'etc/passwd', data: PASSWD },
    { name: 'etc/group', data: GROUP },
  ];
  const plain = ({ name }: TarEntry) => String(name).replace(/\/$/, '');
  const replaced = new Set(entries.map(plain));
  // What is in a directory that is a link now would be another file.
  const kept = usual.filter((entry) => ![...replaced].some((name) => `${plain(entry)}/`.startsWith(`${name}/`)));
  return testImage([tarOf(...kept, ...entries)], {
    compression: 'none',
    config: { Cmd: ['sh'], Env: ['PATH=/bin:/usr/bin'], ...config },
  });
}

/** Writes such an image into a directory. @returns what `--root` takes */
export function busyboxImage(directory: string, entries?: readonly TarEntry[], config?: object): string {
  const image = imageOfBusybox(entries, config);
  writeLayout(directory, image.blobs, [{ blob: image.manifest, tag: 'latest' }]);
  return `oci:${directory}`;
}

/** The same in a directory of its own, which is removed after the test. */
export function scratchImage(t: TestContext, entries?: readonly TarEntry[], config?: object): string {
  return busyboxImage(join(scratchDirectory(t), 'image'), entries, config);
}
