/** Small file systems where libvirtd for containers is. */
import type { TestContext } from 'node:test';
import { besideLxc } from './connections.js';
import { uniqueName } from './leftovers.js';

export interface LxcDisk {
  /** Where it is mounted. */
  readonly path: string;
  /** Nothing more can be written. */
  fill(): void;
  /** There is room again. */
  makeRoom(): void;
}

/** It is gone after the test. @param size of the whole */
export function smallDisk(t: Pick<TestContext, 'after'>, size = '1M'): LxcDisk {
  const path = `/var/lib/libvirt/${uniqueName()}`;
  const filler = `${path}/filler`;
  besideLxc('mkdir', path);
  besideLxc('mount', '-t', 'tmpfs', '-o', `mode=755,size=${size}`, 'none', path);
  t.after(() => {
    besideLxc('umount', '--lazy', path);
    besideLxc('rmdir', path);
  });
  return {
    path,
    fill: () => besideLxc('sh', '-c', `cat /dev/zero 2>/dev/null >${filler} || true`),
    makeRoom: () => besideLxc('rm', filler),
  };
}
