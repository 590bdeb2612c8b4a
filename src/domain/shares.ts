/**
 * Directories of the host that the machine sees.
 *
 * https://libvirt.org/formatdomain.html#filesystems, https://libvirt.org/kbase/virtiofs.html
 */
import { type Element, EMPTY } from './xml.js';

export interface Share {
  /** Mount tag; at most 31 characters. */
  readonly tag: string;
  readonly directory: string;
  readonly readOnly: boolean;
  /**
   * What serves it. 9p: QEMU itself, with the rights of the user that it runs as, whose own every new file is. virtiofs: a process of root's
   * beside QEMU, for which files have the owners and modes that they have inside.
   */
  readonly transport: '9p' | 'virtiofs';
}

/** The `filesystem` element, less its address. */
export function shareElement({ tag, directory, readOnly, transport }: Share): Element {
  const common = {
    '@type': 'mount',
    source: { '@dir': directory },
    target: { '@dir': tag },
    readonly: readOnly ? EMPTY : undefined,
  };
  if (transport === '9p') {
    // Host file systems below the directory have inode numbers of their own that would collide.
    return { ...common, '@accessmode': 'squash', '@multidevs': 'remap' };
  }
  return {
    ...common,
    '@accessmode': 'passthrough',
    driver: { '@type': 'virtiofs' },
    // Its usual sandbox, a namespace with a root of its own, cannot be made in a container.
    binary: { sandbox: { '@mode': 'chroot' } },
  };
}

/**
 * virtiofsd works on the guest's memory itself.
 * @param own the machine has memory of its own, which is shared, and libvirt's is not used: a file that nothing is written to
 */
export function memoryBacking(shares: readonly Share[], own = false): Element | undefined {
  if (!shares.some(isVirtiofs)) return undefined;
  return { source: own ? undefined : { '@type': 'memfd' }, access: { '@mode': 'shared' } };
}

export function isVirtiofs({ transport }: Pick<Share, 'transport'>): boolean {
  return transport === 'virtiofs';
}
