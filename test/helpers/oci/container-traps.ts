/** Entries of images that a container must get nothing by, and what the programs in them try. */

import { suProgram } from '../elf.js';
import type { TarEntry } from './tar.js';

/** What root of an image has, as /proc/self/status prints it. */
export const OWN = '00000000800405fb';

export const link = (name: string, target: string): TarEntry => ({ name, type: '2', link: target });

/** An attribute `security.capability` of version 2: permitted, and effective at once. */
export function fileCapabilities(low: number, high = 0): string {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt32LE(0x0200_0001, 0);
  bytes.writeUInt32LE(low, 4);
  bytes.writeUInt32LE(high, 12);
  return bytes.toString('latin1');
}

const su = suProgram();
export const TRAPS: readonly TarEntry[] = [
  { name: 'disk', type: '4', major: 8, minor: 0, mode: 0o666 },
  { name: 'loop', type: '4', major: 7, minor: 0, mode: 0o666 },
  { name: 'mem', type: '3', major: 1, minor: 1, mode: 0o666 },
  { name: 'null', type: '3', major: 1, minor: 3, mode: 0o666 },
  { name: 'terminal', type: '3', major: 136, minor: 1, mode: 0o666 },
  { name: 'su', data: su, mode: 0o6755 },
  { name: 'su-big', data: su, mode: 0o6755, uid: 5_000_000, gid: 5_000_000 },
  {
    name: 'capable',
    data: su,
    mode: 0o755,
    pax: { 'SCHILY.xattr.security.capability': Buffer.from(fileCapabilities(0x8004_05fb), 'latin1') },
  },
  {
    name: 'almighty',
    data: su,
    mode: 0o755,
    pax: { 'SCHILY.xattr.security.capability': Buffer.from(fileCapabilities(0xffff_ffff, 0x1ff), 'latin1') },
  },
  // With the host's /usr it has the host's programs.
  ...['lib', 'lib64'].map((name) => link(name, `usr/${name}`)),
  { name: 'usr/', type: '5' },
];

export const USR = ['-m', 'host-bind:/usr=/usr,ro'];
/** What its programs cannot get at, as whoever they are. */
export const REACH =
  'cat /proc/1/environ; ls /proc/1/root/; cat /proc/1/fd/100; kill -9 1; mount -t tmpfs none /srv; umount /dev/shm; ' +
  'unshare -m true; mknod /n b 8 0; mknod /n c 1 1; echo 1 > /proc/sys/kernel/core_pattern; ' +
  'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 9 > /proc/sys/net/ipv4/ip_unprivileged_port_start; hostname x; ' +
  'date -s 2020-01-01 >/dev/null; for file in /disk /loop /mem /null /terminal /dev/loop0; do head -c 1 $file; done';
export const REFUSED = 20;
