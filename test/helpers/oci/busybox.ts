/** An image that runs: busybox, which needs no libraries, and what a test adds to it. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { unlessProgram } from '../images.js';
import { BUSYBOX, unlessBusybox } from '../roots.js';
import { type TestImage, testImage, writeLayout } from './image.js';
import { type TarEntry, tarEntry, tarOf } from './tar.js';

/** A reason to skip, or false if such images can be made and used here. */
export function unlessImages(): string | false {
  return unlessBusybox || unlessProgram('mkfs.erofs');
}

/** The programs of busybox in /bin, and the users root and web. */
export function busyboxLayer(more: readonly TarEntry[] = []): Buffer {
  const names = execFileSync(BUSYBOX, ['--list'], { encoding: 'utf8' }).trim().split('\n');
  const entries: readonly TarEntry[] = [
    { name: 'bin/', type: '5' },
    { name: 'bin/busybox', data: readFileSync(BUSYBOX), mode: 0o755 },
    ...names.filter((name) => name !== 'busybox').map((name) => link(`bin/${name}`, 'busybox')),
    { name: 'etc/', type: '5' },
    { name: 'etc/passwd', data: 'root:x:0:0:root:/root:/bin/sh\nweb:x:1234:1235::/home/web:/bin/sh\n' },
    { name: 'etc/group', data: 'root:x:0:\nweb:x:1235:\nextra:x:77:web\n' },
    ...more,
  ];
  // Not as arguments of a function: there may be a hundred thousand.
  return Buffer.concat([...entries.map(tarEntry), tarOf()]);
}

/** A symbolic link. */
export function link(name: string, target: string): TarEntry {
  return { name, type: '2', link: target };
}

/**
 * An image of busybox.
 * @param config the field `config` of its config; its PATH is /bin unless it says so
 * @param entries added to the layer with busybox
 */
export function busyboxImage(config: object = {}, entries: readonly TarEntry[] = []): TestImage {
  return testImage([busyboxLayer(entries)], { config: { Env: ['PATH=/bin'], ...config } });
}

/** Writes a layout with that image under the tag `v1`. @returns a value for --root */
export function layoutWith(directory: string, image: TestImage): string {
  writeLayout(directory, image.blobs, [{ blob: image.manifest, tag: 'v1' }]);
  return `oci:${directory}:v1`;
}
